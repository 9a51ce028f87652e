import { posix } from 'node:path';
import { bytesOf, Refusal } from '#ledger';
import { type Files, FileTrouble } from '#world';

/** Linux keeps a socket's path in 108 bytes, the last of them zero. */
const SOCKET_PATH_BYTES_MAX = 107;

/** Troubles with a path that whoever named it can mend, and no retry can. */
const WHY_NOT: ReadonlyMap<string, string> = new Map([
  ['ELOOP', 'its symbolic links lead in a circle'],
  ['ENAMETOOLONG', 'it, or a name in it, is too long'],
  ['EACCES', 'ledgerd may not look into one of its directories'],
]);

type Paths = Pick<Files, 'stat' | 'realpath'>;

/**
 * A monitor's path without symbolic links, safe to connect to. It need not exist: the machine may be off.
 *
 * @throws {Refusal} `path-not-allowed` outside the monitor roots or out of reach, `not-a-monitor` when something else
 * lies there
 */
export async function requireMonitorPath(
  files: Paths,
  monitorRoots: readonly string[],
  path: string,
): Promise<string> {
  if (monitorRoots.length === 0) {
    throw notAllowed('no directory for monitors is configured: start ledgerd with --monitor-root DIR');
  }
  requirePlain(path);
  const resolved = await insideRoots(files, monitorRoots, path);
  if (resolved === null) {
    throw notAllowed(`${path} lies in no monitor root (--monitor-root ${monitorRoots.join(', ')})`);
  }
  requireSocketPath(resolved);
  const found = await reached(path, files.stat(resolved));
  if (found && found.kind !== 'socket') {
    throw new Refusal('not-a-monitor', `${path} is a ${found.kind}, not a socket`);
  }
  return resolved;
}

/**
 * A path under which a socket can be bound and found.
 *
 * @throws {Refusal} `path-not-allowed`
 */
export function requireSocketPath(path: string): void {
  if (bytesOf(path) <= SOCKET_PATH_BYTES_MAX) return;
  throw notAllowed(`a socket's path has at most ${SOCKET_PATH_BYTES_MAX} bytes: ${path}`);
}

/**
 * A guest agent's path without symbolic links, safe to connect to. It need not exist: the machine may be off.
 *
 * @throws {Refusal} `path-not-allowed` outside the monitor roots, or when something else lies there
 */
export async function requireAgentPath(
  files: Paths,
  monitorRoots: readonly string[],
  path: string,
): Promise<string> {
  try {
    return await requireMonitorPath(files, monitorRoots, path);
  } catch (error) {
    if (error instanceof Refusal) throw notAllowed(`the guest agent's socket: ${error.message}`);
    throw error;
  }
}

/**
 * The path of an image that somebody named, without symbolic links.
 *
 * @throws {Refusal} `path-not-allowed` outside the image roots or out of reach, `disk-unsupported` when it is no
 * regular file
 */
export async function requireImagePath(
  files: Paths,
  imageRoots: readonly string[],
  path: string,
): Promise<string> {
  if (imageRoots.length === 0) {
    throw notAllowed('no directory for images is configured: start ledgerd with --image-root DIR');
  }
  requirePlain(path);
  const resolved = await insideRoots(files, imageRoots, path);
  if (resolved === null) {
    throw notAllowed(`${path} lies in no image root (--image-root ${imageRoots.join(', ')})`);
  }
  const found = await reached(path, files.stat(resolved));
  if (found?.kind !== 'file') {
    throw new Refusal(
      'disk-unsupported',
      found ? `${path} is a ${found.kind}, not a file` : `there is no ${path}`,
    );
  }
  return resolved;
}

/**
 * Also keeps out what QEMU would not take for a path: `nbd:…`, `json:{…}`, `exec:…`, abstract sockets.
 *
 * @throws {Refusal} `path-not-allowed`
 */
export function requirePlain(path: string): void {
  if (!path.startsWith('/')) throw notAllowed(`a path must be absolute: "${path}"`);
  if (path.includes('\0')) throw notAllowed('a path holds no zero byte');
  if (path.split('/').includes('..')) throw notAllowed(`a path may not climb by "..": ${path}`);
}

/** Null when the path, followed through its symbolic links, leads out of all roots. */
export async function insideRoots(
  files: Paths,
  roots: readonly string[],
  path: string,
): Promise<string | null> {
  const realRoots = await Promise.all(roots.map(async (root) => (await files.realpath(root)) ?? root));
  const real = await reached(path, resolve(files, path));
  if (real === null) return [...roots, ...realRoots].some((root) => isUnder(root, path)) ? path : null;
  return realRoots.some((root) => isUnder(root, real)) ? real : null;
}

/** What does not exist is resolved as far as its directory; null when that does not exist either. */
async function resolve(files: Paths, path: string): Promise<string | null> {
  const real = await files.realpath(path);
  if (real !== null) return real;
  const directory = await files.realpath(posix.dirname(path));
  return directory === null ? null : posix.join(directory, posix.basename(path));
}

/** What a look at the path has found. @throws {Refusal} `path-not-allowed` when it cannot be followed to its end */
export async function reached<T>(path: string, look: Promise<T>): Promise<T> {
  try {
    return await look;
  } catch (error) {
    const why = error instanceof FileTrouble ? WHY_NOT.get(error.code) : undefined;
    throw why === undefined ? error : notAllowed(`${path} cannot be reached: ${why}`);
  }
}

const isUnder = (root: string, path: string): boolean =>
  path.startsWith(root.endsWith('/') ? root : `${root}/`);

export const notAllowed = (message: string): Refusal => new Refusal('path-not-allowed', message);
