import type { Place } from '../place.ts';

/** What lies at the monitor of a machine that has ended in good order, or whose host went down. */
export const NO_SOCKET = '';

/**
 * Which socket lies at a machine's monitor, or `NO_SOCKET`. To be asked before the machine is looked at: whoever starts
 * it puts a new one there. That may have the same inode, but not the same time: nobody writes a socket, and who gives it to
 * another user changes other times.
 */
export async function monitorSocket({ world, monitor }: Pick<Place, 'world' | 'monitor'>): Promise<string> {
  const found = await world.files.stat(monitor);
  return found ? `${found.identity} ${found.modifiedAt}` : NO_SOCKET;
}

/** Whether the socket, as `monitorSocket` tells, was put there later than that, in ms since 1970. */
export const isSocketSince = (socket: string, at: number): boolean =>
  socket !== NO_SOCKET && Number(socket.slice(socket.lastIndexOf(' '))) > at;

/**
 * Whether somebody has started the machine in between. A socket that is gone tells nothing: QEMU has ended in good order, or
 * the host went down.
 */
export const isAnotherSocket = (before: string, now: string): boolean => now !== NO_SOCKET && before !== now;
