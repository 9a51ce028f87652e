/** Why a socket could not be opened, in the words of errno. */
export type ConnectCode = 'ENOENT' | 'ECONNREFUSED' | 'EAGAIN' | 'EACCES' | 'ENOTSOCK' | 'other';

/** Nobody answered at that path. Nothing was sent. */
export class ConnectTrouble extends Error {
  override readonly name = 'ConnectTrouble';
  readonly code: ConnectCode;
  readonly path: string;
  constructor(code: ConnectCode, path: string, message: string) {
    super(message);
    this.code = code;
    this.path = path;
  }
}

/** A file operation failed for another reason than that nothing is there. */
export class FileTrouble extends Error {
  override readonly name = 'FileTrouble';
  /** The errno name, e.g. `ENOSPC`. */
  readonly code: string;
  readonly path: string;
  constructor(code: string, path: string, message: string) {
    super(message);
    this.code = code;
    this.path = path;
  }
}
