/** As much of a request as we look at. Fastify's has it, and so would another server's. */
export interface HttpRequest {
  readonly id: string;
  readonly method: string;
  readonly url: string;
  readonly headers: HttpHeaders;
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly routeOptions: { readonly url?: string | undefined };
}

/** By name in lower case, as they arrived. */
export type HttpHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** As much of a reply as we touch. */
export interface HttpReply {
  readonly raw: {
    readonly headersSent: boolean;
    once(event: 'close', listener: () => void): unknown;
  };
  code(status: number): unknown;
  headers(headers: Record<string, string>): unknown;
  send(body: unknown): unknown;
}
