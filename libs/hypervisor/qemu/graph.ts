import {
  type BlockdevAdd,
  type BlockdevAddNull,
  type BlockdevDel,
  type BlockNode,
  type ImageOptions,
  parseNodes,
  QmpRefused,
  type SetDrive,
} from '#qmp';
import { GRAPH_TIMEOUT_MS, POWER_TIMEOUT_MS, RELEASE_ATTEMPTS_MAX, RELEASE_PAUSE_MS } from '../bounds.ts';
import { type ImageAt, protocolOf } from './images.ts';
import type { Place } from '../place.ts';

/* QEMU's block graph: which images it has open, under which names, and which of them a device uses. */

/** QEMU takes 31 bytes that begin with a letter. One snapshot or operation has at most a thousand of them. */
export const nodeNameOf = (id: string, index: number): string =>
  `sl${id.replaceAll('-', '').slice(-24)}-${index}`;

/** Whether a node was opened by us as an image. What says that we stopped a machine is none. */
export const isOwnNode = (node: string): boolean => /^sl[0-9a-f]{24}-\d+$/.test(node);

/** An image, the name that QEMU is to know it by, and how it is to be opened. */
export type OpenAs = ImageAt & { readonly node: string; readonly opened?: ImageOptions | undefined };

/**
 * Opens an image. `alone` without the one it stands on, `with-chain` with all that its header names. Throws what QEMU
 * refuses.
 */
export async function addNode(
  { line, world }: Place,
  { file, format, node, opened }: OpenAs,
  below: 'alone' | 'with-chain',
): Promise<void> {
  const options: BlockdevAdd = {
    driver: format,
    'node-name': node,
    ...opened,
    file: { driver: await protocolOf(world, file), filename: file },
    ...(below === 'alone' && format !== 'raw' && { backing: null }),
  };
  await line.held.execute('blockdev-add', options, { timeoutMs: GRAPH_TIMEOUT_MS });
}

/**
 * Closes an image that nothing uses any more; one that is closed already is as good. A job that has just ended may hold
 * on to it for a moment. Throws what QEMU refuses.
 */
export async function removeNode(place: Place, node: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await removeNodeNow(place, node);
    } catch (error) {
      const isHeld = error instanceof QmpRefused && error.description.endsWith('is in use');
      if (!isHeld || attempt === RELEASE_ATTEMPTS_MAX) throw error;
      await place.world.clock.sleep(RELEASE_PAUSE_MS);
    }
  }
}

/** The same for an image that somebody else may well go on using. Throws what QEMU refuses. */
export async function removeNodeNow({ line }: Place, node: string): Promise<void> {
  const deletion: BlockdevDel = { 'node-name': node };
  try {
    await line.held.execute('blockdev-del', deletion, { timeoutMs: GRAPH_TIMEOUT_MS });
  } catch (error) {
    if (error instanceof QmpRefused && /Failed to find node/.test(error.description)) return;
    throw error;
  }
}

/**
 * What a device holds while its image is closed. It is opened as the image was: whoever goes on after a death finds
 * that nowhere else.
 */
export async function addPlaceholder(
  { line }: Place,
  node: string,
  { virtualSizeBytes: sizeBytes, opened }: { virtualSizeBytes: number; opened?: ImageOptions },
): Promise<void> {
  const options: BlockdevAddNull = {
    driver: 'null-co',
    'node-name': node,
    ...opened,
    size: sizeBytes,
    'read-zeroes': true,
  };
  await line.held.execute('blockdev-add', options, { timeoutMs: GRAPH_TIMEOUT_MS });
}

/** Puts another image under a device of a machine that stands still. Throws what QEMU refuses. */
export async function setDrive({ line }: Place, qdev: string, node: string): Promise<void> {
  const path = qdev.startsWith('/') ? qdev : `/machine/peripheral/${qdev}`; // Where QEMU keeps those with an id.
  const setting: SetDrive = { path, property: 'drive', value: node };
  await line.held.execute('qom-set', setting, { timeoutMs: GRAPH_TIMEOUT_MS });
}

/** Every image that QEMU has open, in no order. Throws what QEMU refuses. */
export async function openNodes({ line }: Place): Promise<BlockNode[]> {
  // Without `flat` the answer grows with the square of a chain's length, and QEMU hangs.
  return parseNodes(
    await line.held.execute('query-named-block-nodes', { flat: true }, { timeoutMs: GRAPH_TIMEOUT_MS }),
  );
}

/** As if somebody had pressed the button. A machine that stands still stays so. Throws what QEMU refuses. */
export async function resetMachine({ line }: Place): Promise<void> {
  await line.held.execute('system_reset', {}, { timeoutMs: POWER_TIMEOUT_MS });
}
