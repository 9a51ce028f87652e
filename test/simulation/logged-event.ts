/** An event as its record has it. */
export interface LoggedEvent {
  readonly id: string;
  readonly type: string;
  readonly stream: string;
  readonly version: string;
  readonly recordedAt: string;
  readonly correlationId: string;
  readonly commandId: string;
  readonly commandDigest: string;
  readonly data: object;
}
