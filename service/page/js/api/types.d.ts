/** The parts of the service's responses that the page reads; /docs describes all of them. */

export type Kind = "images" | "prompts";
export type Mode = "semantic" | "keyword" | "hybrid";

export interface ImageLinks {
  width: number | null;
  height: number | null;
  source: string;
  file: string | null;
  thumbnail: string | null;
}

export interface Generation {
  id: string;
  image: ImageLinks;
  settings: Record<string, unknown>;
}

export interface PromptReference {
  id: string;
  text: string;
}

export interface ImageResult extends Generation {
  prompt: PromptReference | null;
  /** Cosine similarity; null if the query has no terms to compare with. */
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
  /** Number of images with a value. */
  count: number;
  distinct: number;
  least: number | string | null;
  greatest: number | string | null;
  /** The most frequent values, each with the number of its images. */
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

/** A condition on one field, such as {gte: 20} or {in: ["a", "b"]}. */
export type Condition = Partial<
  Record<"eq" | "gt" | "gte" | "lt" | "lte" | "prefix" | "exists", Value> & { in: Value[] }
>;
/** Conditions by field, in the API's format: a plain value means `eq`, a list means `in`. */
export type Filter = Record<string, unknown>;
