import { chainUnder, type Layer, type Vm } from '#ledger';
import { type BlockNode, parseChains, QmpRefused } from '#qmp';
import { GRAPH_TIMEOUT_MS } from '../bounds.ts';
import { realFile } from './devices.ts';
import { isOwnNode, openNodes, removeNodeNow } from '../qemu/graph.ts';
import { NotNow } from '../not-now.ts';
import type { Place } from '../place.ts';
import type { Power } from './sight.ts';
import { troubleIn } from '../trouble.ts';

/* Which files QEMU has open, under which node names, and which of them its devices stand on. */

export interface OpenImages {
  readonly nodes: readonly OpenImage[];
  /** The files under each device, the one on top first. */
  readonly chains: readonly (readonly string[])[];
}

type OpenImage = Pick<BlockNode, 'nodeName' | 'driver' | 'file'>;

/** Of a machine that is off QEMU has nothing open. Throws what QEMU refuses. */
export async function lookAtOpenImages(place: Place, power: Power): Promise<OpenImages> {
  if (power === 'off') return { nodes: [], chains: [] };
  const { files } = place.world;
  const [nodes, blocks] = await Promise.all([
    openNodes(place),
    place.line.held.execute('query-block', {}, { timeoutMs: GRAPH_TIMEOUT_MS }),
  ]);
  const real = (file: string): Promise<string> => realFile(files, file);
  return {
    nodes: await Promise.all(
      nodes.map(async ({ nodeName, driver, file }) => ({ nodeName, driver, file: await real(file) })),
    ),
    chains: await Promise.all(parseChains(blocks).map((chain) => Promise.all(chain.map(real)))),
  };
}

/** QEMU's name for an open layer; null when it is closed. */
export const nodeOf = (
  { nodes }: OpenImages,
  { file, format }: Pick<Layer, 'file' | 'format'>,
): string | null => nodes.find((node) => node.file === file && node.driver === format)?.nodeName ?? null;

/** The same of a layer that a device stands on. @throws {NotNow} when it is closed: the look was too early */
export function requireNode(open: OpenImages, layer: Pick<Layer, 'file' | 'format'>): string {
  const node = nodeOf(open, layer);
  if (node === null) throw new NotNow('host-unreachable', `QEMU does not have ${layer.file} open`);
  return node;
}

/** The chain of the device that stands on a file; null when none does. */
export const chainWith = ({ chains }: OpenImages, file: string): readonly string[] | null =>
  chains.find((chain) => chain.includes(file)) ?? null;

/** Whether nobody gave the node a name: what QEMU opened by itself it also closes by itself. */
export const isNamedByQemu = (node: string): boolean => node.startsWith('#');

/** Closes a file that no device stands on, under whatever names it is open. Throws what QEMU refuses, once it tried all. */
export async function closeFile(place: Place, { nodes }: OpenImages, file: string): Promise<void> {
  const open = nodes.filter((node) => node.file === file && !isNamedByQemu(node.nodeName));
  const formatsFirst = open.toSorted((one, other) => rankOf(one) - rankOf(other));
  let refused: QmpRefused | null = null;
  for (const { nodeName } of formatsFirst) {
    try {
      await removeNodeNow(place, nodeName);
    } catch (error) {
      if (!(error instanceof QmpRefused)) throw error;
      refused = error;
    }
  }
  if (refused) throw refused;
}

/**
 * Closes layers that no device stands on any more, nobody before those that stand on it, and the second node of a
 * layer that QEMU was made to open twice; and before them what an earlier operation of ours has left open that is no layer,
 * for it may stand on one. What somebody uses QEMU keeps open.
 */
export async function closeIdle(place: Place, { layers }: Pick<Vm, 'layers'>, power: Power): Promise<void> {
  const open = await lookAtOpenImages(place, power);
  const countOf = ({ file, format }: Layer): number =>
    open.nodes.filter((node) => node.file === file && node.driver === format).length;
  const idle = [...layers.values()]
    .filter((layer) => !chainWith(open, layer.file) || countOf(layer) > 1)
    .map(({ file }) => ({ file, depth: chainUnder({ layers }, file).length }))
    .toSorted((one, other) => other.depth - one.depth);
  const left = open.nodes.filter(
    ({ nodeName, file }) => isOwnNode(nodeName) && file !== '' && !layers.has(file) && !chainWith(open, file),
  );
  for (const { file } of [...left, ...idle]) {
    const trouble = await troubleIn(() => closeFile(place, open, file));
    if (trouble?.kind === 'unknown') throw new NotNow('host-unreachable', trouble.words);
  }
}

/**
 * Closes layers that no device stands on any more: those that QEMU was given by name stay open until it is told, and
 * hold on to what they stand on. Throws what QEMU refuses.
 */
export async function closeUnused(place: Place, layers: readonly Layer[], power: Power): Promise<void> {
  const open = await lookAtOpenImages(place, power);
  for (const { file } of layers) if (!chainWith(open, file)) await closeFile(place, open, file);
}

const PROTOCOLS: ReadonlySet<string> = new Set(['file', 'host_device']);

const rankOf = ({ driver }: OpenImage): number => (PROTOCOLS.has(driver) ? 1 : 0);
