// Failed requests.

/** An error with a message for the user. */
export class Failure extends Error {
  /**
   * @param {string} message
   * @param {object} [problem]
   * @param {string} [problem.type]  of the problem document, without its prefix; "unreachable" if there was no response
   * @param {number} [problem.status]  0 if there was no response
   * @param {number} [problem.wait]  seconds after which the service wants the request to be repeated
   */
  constructor(message, { type = "unreachable", status = 0, wait = 0 } = {}) {
    super(message);
    this.type = type;
    this.status = status;
    this.wait = wait;
  }

  /** Whether a later attempt may succeed. */
  get isTemporary() {
    return (
      this.status === 0 || this.status === 429 || this.status === 502 || this.status === 503 || this.status === 504
    );
  }
}
