import { type Files, FileTrouble } from '#world';

/* The kernel lists the locks that are held on this host (proc_locks(5)): to read that once takes as long as one program. */

const LOCKS_FILE = '/proc/locks';
/** That many have some thousand images. Of what is listed behind them nothing is known. */
const LOCKS_BYTES_MAX = 256 * 1024;

/**
 * The bytes that are locked in an image by whoever may write it, and by whoever wants nobody else to: QEMU's bit for that
 * behind its RAW_LOCK_PERM_BASE and its RAW_LOCK_SHARED_BASE (block/file-posix.c).
 */
const LOCKED_BYTES: readonly number[] = [101, 201];

/**
 * `7: OFDLCK ADVISORY  READ -1 fe:00:10249112 201 201`; whoever still waits for a lock has an arrow before that. Locks of
 * other kinds keep QEMU from nothing.
 */
const HELD = /^\d+: (?:OFDLCK|POSIX) +\w+ +\w+ +-?\d+ ([\da-f]+):([\da-f]+):(\d+) (\d+) (\d+|EOF)$/;

/**
 * Those of the files that somebody on this host is seen to have open as an image, in a way that keeps others from writing
 * it. That nobody is seen tells nothing: of hosts that share the file system, of some file systems, and of what changes
 * while the list is read, nothing is listed.
 */
export async function seenLocked(
  files: Pick<Files, 'stat' | 'start'>,
  paths: readonly string[],
): Promise<ReadonlySet<string>> {
  if (paths.length === 0) return new Set();
  try {
    const locked = lockedIn(await files.start(LOCKS_FILE, LOCKS_BYTES_MAX));
    const found = await Promise.all(paths.map((path) => files.stat(path)));
    return new Set(paths.filter((_, index) => locked.has(found[index]?.identity ?? '')));
  } catch (error) {
    if (error instanceof FileTrouble) return new Set(); // Then a program has to be asked.
    throw error;
  }
}

/** The identities of files, as `stat` tells them. */
function lockedIn(locks: Uint8Array | null): Set<string> {
  const locked = new Set<string>();
  for (const line of Buffer.from(locks ?? [])
    .toString()
    .split('\n')) {
    const [, major = '', minor = '', inode = '', first = '', last = ''] = HELD.exec(line) ?? [];
    const end = last === 'EOF' ? Number.POSITIVE_INFINITY : Number(last);
    if (!LOCKED_BYTES.some((byte) => first !== '' && Number(first) <= byte && byte <= end)) continue;
    locked.add(identityOf(Number.parseInt(major, 16), Number.parseInt(minor, 16), inode));
  }
  return locked;
}

/** As `stat` puts a device's two numbers together (makedev(3)). */
const identityOf = (major: number, minor: number, inode: string): string =>
  `${(minor & 0xff) + major * 0x100 + (minor >>> 8) * 0x10_0000}:${inode}`;
