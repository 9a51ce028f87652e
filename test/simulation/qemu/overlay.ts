import type { BlockNode } from './block-graph.ts';
import type { Machine } from './machine.ts';
import { nodeNamed } from './opening.ts';
import { QmpError } from './qmp-error.ts';
import { pause, type Work } from './work.ts';

/** What an overlay takes that is open already (reference: latencies). */
const PUT_MS = 0.8;

/** `blockdev-snapshot`: whatever stood on the node stands on the overlay now. Returns what takes it back. */
export function* putOverlay(machine: Machine, name: string, overlayName: string): Work<() => Work<void>> {
  const { graph, surroundings, guest } = machine;
  const node = nodeNamed(machine, name);
  const overlay = nodeNamed(machine, overlayName);
  const above = graph.isBacking(node);
  if (above) throw new QmpError(`Node '${name}' is busy: node is used as backing hd of '${above.name}'`);
  if (graph.isUsed(overlay)) throw new QmpError('The overlay is already in use');
  if (overlay.backing) throw new QmpError('The overlay already has a backing image');
  const job = graph.jobOn(node);
  if (job) throw new QmpError(`Node '${name}' is busy: block device is in use by block job: ${job}`);
  yield* pause(surroundings.chance, PUT_MS, `put ${overlayName} on ${name}`);
  const wasReadOnly = node.isReadOnly;
  node.image?.flush();
  const before = node.image?.frozen ?? null;
  if (node.image) {
    node.image.frozen = { instant: guest.instant, truth: graph.read(node) };
  }
  overlay.backing = node;
  node.isReadOnly = true;
  for (const device of graph.devices) if (device.node === node) device.node = overlay;
  graph.settle();
  return () =>
    takeOff(machine, { node, overlay }, () => {
      node.isReadOnly = wasReadOnly;
      if (node.image) node.image.frozen = before;
    });
}

// oxlint-disable-next-line require-yield -- nothing was written
function* takeOff(
  { graph }: Machine,
  { node, overlay }: { node: BlockNode; overlay: BlockNode },
  restore: () => void,
): Work<void> {
  for (const device of graph.devices) if (device.node === overlay) device.node = node;
  overlay.backing = null;
  restore();
  graph.settle();
}
