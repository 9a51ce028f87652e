import type { Vm } from '#ledger';
import { isClosed, whileClosed } from '../load/closed-disk.ts';
import type { Errand } from '../errand.ts';
import type { Start } from '../journal.ts';
import { NotNow } from '../not-now.ts';
import { observe, powerNow, powerStill } from '../look/observe.ts';
import { isNamedByQemu } from '../look/open-images.ts';
import { setRunning, stopWithSign } from '../qemu/power.ts';
import type { SeenDisk, Sight } from '../look/sight.ts';
import { troubleIn } from '../trouble.ts';

/**
 * What lies under the file that a machine was started from QEMU has opened by itself, under a name of its own. A copy
 * downwards leaves the machine on such an image, which nobody could exchange any more: so it is opened once more, under
 * the name that its disk had. Where QEMU refuses, it keeps its name: nothing is lost but that. Returns whether any was.
 *
 * @throws {NotNow} when QEMU does not answer, or would not open again what it has closed: the machine stands still then
 */
export async function nameTops(
  errand: Errand,
  start: Start,
  after: Pick<Vm, 'disks'>,
  { disks, power }: Sight,
): Promise<boolean> {
  if (power === 'off') return false;
  const unnamed = disks.filter(({ node, device, qdev }) => {
    const before = start.nodes[device];
    return qdev !== null && isNamedByQemu(node) && before !== undefined && !isNamedByQemu(before);
  });
  if (unnamed.length === 0) return false;
  const before = await powerNow(errand);
  await stopWithSign(errand, before);
  for (const seen of unnamed) await nameTop(errand, start, after, { seen, index: disks.indexOf(seen) });
  if (before === 'running') await setRunning(errand, await powerStill(errand), 'running');
  return true;
}

async function nameTop(
  errand: Errand,
  { nodes }: Start,
  { disks }: Pick<Vm, 'disks'>,
  { seen, index }: { seen: SeenDisk; index: number },
): Promise<void> {
  const disk = disks.find(({ device }) => device === seen.device);
  const node = nodes[seen.device];
  if (!disk || node === undefined) return;
  const image = { file: disk.file, format: disk.format, node };
  const trouble = await troubleIn(() => whileClosed(errand, { seen, image, index }, () => Promise.resolve()));
  if (!trouble) return;
  const isOpen = trouble.kind === 'refused' && !(await observe(errand, 'listed')).disks.some(isClosed);
  if (!isOpen) throw new NotNow('host-unreachable', trouble.words); // On a placeholder no guest may run.
}
