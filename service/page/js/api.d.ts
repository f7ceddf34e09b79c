/** The shapes of the service's answers that the page reads; /docs has all of them. */

export type Kind = "images" | "prompts";
export type Mode = "semantic" | "keyword" | "hybrid";

export interface Picture {
  width: number | null;
  height: number | null;
  source: string;
  file: string | null;
  thumbnail: string | null;
}

export interface Generation {
  id: string;
  image: Picture;
  settings: Record<string, unknown>;
}

export interface PromptReference {
  id: string;
  text: string;
}

export interface ImageResult extends Generation {
  prompt: PromptReference | null;
  /** Cosine similarity; null where there was nothing to compare with. */
  score?: number | null;
  more?: number | null;
  duplicates?: number | null;
}

export interface ImageItem extends ImageResult {
  extra: Record<string, unknown>;
}

export interface PromptResult {
  id: string;
  text: string;
  image_count: number;
  images: Generation[];
  score?: number | null;
  duplicates?: number | null;
}

export type Result = ImageResult | PromptResult;

export interface Answer<R = Result> {
  results: R[];
  /** The cursor of the next page; null at the end. */
  next: string | null;
  notes: string[];
  took_ms: number;
}

export type Value = string | number | boolean;

export interface Field {
  name: string;
  type: "boolean" | "integer" | "number" | "string" | "time" | "prompt";
  /** Images that have it. */
  count: number;
  distinct: number;
  least: number | string | null;
  greatest: number | string | null;
  /** The most frequent ones, each with how many images have it. */
  values: [Value, number][];
}

export interface Collection {
  name: string;
  counts: { prompts: number; images: number; image_vectors: number };
  images: object | null;
  prompts: object | null;
}

export interface CollectionList {
  default: string | null;
  collections: Collection[];
}

/** What a field of an image has to be, such as {gte: 20} or {in: ["a", "b"]}. */
export type Condition = Partial<
  Record<"eq" | "gt" | "gte" | "lt" | "lte" | "prefix" | "exists", Value> & { in: Value[] }
>;
/** Conditions by field, as the API takes them: a value alone and a list are conditions, too. */
export type Filter = Record<string, unknown>;
