import { chainUnder, type Disk, type Layer, type LayerChange, layersOn, type Vm } from '#ledger';
import { backingOf } from './devices.ts';
import type { Errand } from '../errand.ts';
import type { OpenImages } from './open-images.ts';
import type { Place } from '../place.ts';
import type { Power } from './sight.ts';
import { together } from '../together.ts';

/* Do headers and QEMU say of the layers what the ledger believes? Whoever copies between others loses data. */

type Machine = Pick<Vm, 'layers' | 'disks'>;

/** The file that the header of a layer names, without symbolic links; undefined when it cannot be read. */
export async function headerBacking(
  { world, images }: Place,
  layer: Pick<Layer, 'file' | 'format'>,
): Promise<string | null | undefined> {
  const seen = await images.info(layer, 'shared');
  return seen.kind === 'seen' ? backingOf(world.files, seen.info) : undefined;
}

/** Why these layers are not as the ledger believes, in words; null when they are. Throws as `look` does. */
export async function whyNotAsKnown(
  { place }: Errand,
  machine: Machine,
  { layers, open, power }: { layers: readonly Layer[]; open: OpenImages; power: Power },
): Promise<string | null> {
  const backings = await together(layers.map((layer) => () => headerBacking(place, layer)));
  for (const [index, layer] of layers.entries()) {
    const backing = backings[index];
    if (backing === undefined) return `${layer.file} is gone, or is no ${layer.format} image any more`;
    if (layer.backing === null || backing === layer.backing) continue; // Of the lowest we do not know.
    return `${layer.file} stands on ${backing ?? 'nothing'}, not on ${layer.backing}`;
  }
  if (power === 'off') return null;
  const devices = new Set(layers.map(({ device }) => device));
  const disks = machine.disks.filter(({ device, file }) => devices.has(device) && machine.layers.has(file));
  return disks.map((disk) => whyAnotherChain(machine, disk, open)).find((why) => why !== null) ?? null;
}

function whyAnotherChain(machine: Machine, { device, file }: Disk, { chains }: OpenImages): string | null {
  const [heir] = layersOn(machine, file);
  if (heir) return `disk "${device}" writes on ${file}, and ${heir.file} stands on it`;
  const known = chainUnder(machine, file).map((layer) => layer.file);
  if (chains.some((chain) => known.every((layer, index) => chain[index] === layer))) return null;
  return `QEMU does not have disk "${device}" on ${known.join(' on ')}`;
}

/** The machine as it is when the change has been made. */
export function machineAfter({ layers, disks }: Machine, { set, gone, tops }: LayerChange): Machine {
  const after = new Map([...layers].filter(([file]) => !gone.includes(file)));
  for (const layer of set) after.set(layer.file, layer);
  const topOf = (device: string): Partial<Disk> => tops.find((top) => top.device === device) ?? {};
  return { layers: after, disks: disks.map((disk) => ({ ...disk, ...topOf(disk.device) })) };
}
