/*
 *  MonitorTrouble   nothing was sent: there is no session, or no longer
 *  QmpRefused       sent, and QEMU said no
 *  QmpUnknown       sent, and nobody knows whether it ran
 *  QmpGarbled       sent and answered, in a shape we cannot read
 */

/**
 * - `off`: nothing listens at the path.
 * - `occupied`: somebody listens but did not greet in time. QEMU serves one client a socket, the next ones wait.
 * - `not-a-monitor`: what answers there does not speak QMP, or may not be spoken to.
 * - `closed`: the session is over.
 */
export type MonitorTroubleKind = 'off' | 'occupied' | 'not-a-monitor' | 'closed';

/** There is nobody to talk to. Nothing was sent, so nothing has happened. */
export class MonitorTrouble extends Error {
  override readonly name = 'MonitorTrouble';
  readonly kind: MonitorTroubleKind;
  constructor(kind: MonitorTroubleKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/**
 * QEMU said no. Refused is not undone: a transaction whose rollback failed is refused as well and leaves things
 * behind, so whoever must know looks.
 */
export class QmpRefused extends Error {
  override readonly name = 'QmpRefused';
  readonly command: string;
  /** `GenericError` for nearly everything; see `classifyRefusal`. */
  readonly errorClass: string;
  /** QEMU's own words. */
  readonly description: string;
  constructor(command: string, errorClass: string, description: string) {
    super(`${command}: ${description}`);
    this.command = command;
    this.errorClass = errorClass;
    this.description = description;
  }
}

/**
 * - `timeout`: no answer in time. It may still come; then it is dropped.
 * - `closed`: the session ended before the answer.
 * - `vanished`: QEMU no longer tells of the job, and nobody saw how it ended.
 */
export type UnknownCause = 'timeout' | 'closed' | 'vanished';

/** The command went out and no answer came back: it ran, runs, will run or never did. Only looking tells. */
export class QmpUnknown extends Error {
  override readonly name = 'QmpUnknown';
  override readonly cause: UnknownCause;
  readonly command: string;
  constructor(command: string, cause: UnknownCause, detail: string) {
    super(`nobody knows whether ${command} ran: ${detail}`);
    this.command = command;
    this.cause = cause;
  }
}

/** QEMU answered in another shape than its schema says: another version, or something that only looks like it. */
export class QmpGarbled extends Error {
  override readonly name = 'QmpGarbled';
  /** Where in the reply, e.g. `query-block[0].inserted`. */
  readonly path: string;
  constructor(path: string, expected: string) {
    super(`${path}: expected ${expected}`);
    this.path = path;
  }
}
