export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

export interface HttpRequest {
  readonly method: Method;
  /** Absolute. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** A connection that says nothing for so long counts as lost. */
  readonly silenceMaxMs: number;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  /** By lower-case name; '' when the header is absent. */
  header(name: string): string;
  /** As it arrives, cut anywhere between two characters. Throws `NoAnswer` when the connection breaks. */
  readonly body: AsyncIterable<string>;
}

/** One request, one answer, whatever its status. Throws `NoAnswer`. */
export type Http = (request: HttpRequest) => Promise<HttpAnswer>;

/** Nobody answered, or the answer broke off. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
  /** False: not one byte of the request can have arrived. True: nobody knows what became of it. */
  readonly wasSent: boolean;
  constructor(message: string, wasSent: boolean) {
    super(message);
    this.wasSent = wasSent;
  }
}
