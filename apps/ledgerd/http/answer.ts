/** What a command or a query is answered with, besides its body. Becomes headers in `serve.ts`. */
export class Answer {
  readonly status: number;
  readonly body: object | undefined;
  readonly version: number | undefined;
  readonly position: string | undefined;
  readonly location: string | undefined;
  readonly isReplayed: boolean;

  constructor(status: number, body: object | undefined, facts: AnswerFacts = {}) {
    this.status = status;
    this.body = body;
    this.version = facts.version;
    this.position = facts.position;
    this.location = facts.location;
    this.isReplayed = facts.isReplayed ?? false;
  }

  headers(): Record<string, string> {
    return {
      ...(this.version !== undefined && { etag: `"${this.version}"` }),
      ...(this.position !== undefined && { 'snapledger-position': this.position }),
      ...(this.location !== undefined && { location: this.location }),
      ...(this.isReplayed && { 'idempotency-replayed': 'true' }),
    };
  }
}

export interface AnswerFacts {
  /** Of the stream that holds what is shown: the ETag. */
  readonly version?: number;
  /** How far the log was when this was said. */
  readonly position?: string;
  readonly location?: string;
  /** Whether this is the first answer again, because the idempotency key was used before. */
  readonly isReplayed?: boolean;
}
