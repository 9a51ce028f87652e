import { type Files, FileTrouble } from '#world';

/* The kernel lists the locks that are held on this host (proc_locks(5)): to read that takes a hundredth of a program. */

const LOCKS_FILE = '/proc/locks';
/** That many have some thousand images. Of what is listed behind them nothing is known. */
const LOCKS_BYTES_MAX = 256 * 1024;

/**
 * The bytes that are locked in an image by whoever may write it, and by whoever wants nobody else to: QEMU's bit for that
 * behind its RAW_LOCK_PERM_BASE and its RAW_LOCK_SHARED_BASE (block/file-posix.c).
 */
const LOCKED_BYTES: readonly number[] = [101, 201];

/** `7: OFDLCK ADVISORY  READ -1 fe:00:10249112 201 201`; whoever still waits for a lock has an arrow before that. */
const HELD = /^\d+: \w+ +\w+ +\w+ +-?\d+ ([\da-f]+):([\da-f]+):(\d+) (\d+) (\d+|EOF)$/;

/**
 * Whether somebody on this host is seen to have an image open in a way that keeps others from writing it. That nobody is
 * seen tells nothing: of hosts that share the file system, of some file systems, and of what changes while the list is
 * read, nothing is listed.
 */
export async function isSeenLocked(files: Pick<Files, 'stat' | 'start'>, file: string): Promise<boolean> {
  const [found, locks] = await Promise.all([
    files.stat(file),
    files.start(LOCKS_FILE, LOCKS_BYTES_MAX),
  ]).catch(orNothing);
  if (!found || !locks) return false;
  return Buffer.from(locks)
    .toString()
    .split('\n')
    .some((line) => {
      const [, major = '', minor = '', inode = '', first = '', last = ''] = HELD.exec(line) ?? [];
      if (identityOf(Number.parseInt(major, 16), Number.parseInt(minor, 16), inode) !== found.identity)
        return false;
      const end = last === 'EOF' ? Number.POSITIVE_INFINITY : Number(last);
      return LOCKED_BYTES.some((byte) => Number(first) <= byte && byte <= end);
    });
}

/** Who is asked next meets the same trouble, and tells of it. */
function orNothing(error: unknown): [null, null] {
  if (error instanceof FileTrouble) return [null, null];
  throw error;
}

/** As `stat` puts a device's two numbers together (makedev(3)). */
const identityOf = (major: number, minor: number, inode: string): string =>
  `${(minor & 0xff) + major * 0x100 + (minor >>> 8) * 0x10_0000}:${inode}`;
