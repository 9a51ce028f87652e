import { Refusal, type Report, type Resume, type Snapshot, tagOf, type VmState } from '#ledger';
import type { Errand, OperationOf, Way } from './errand.ts';
import type { Start } from './journal.ts';
import { type LoadWish, requireSameDisks, whyNotLoadable } from './load-check.ts';
import { loadImages, recoverImages } from './load-images.ts';
import { loadMachine, recoverMachine } from './load-machine.ts';
import { requireAtRest, requireResumable } from './run-states.ts';
import { diskOf, type Sight, vmStateOf } from './sight.ts';

/** A load rolls forward: nothing on a disk says which snapshot it is at, so only the whole load makes it whole. */
export function loading(errand: Errand, operation: OperationOf<'load'>, snapshot: Readonly<Snapshot>): Way {
  const { resume, disksOnly } = operation;
  const wish: LoadWish = {
    snapshot,
    resume,
    needs: {
      tag: tagOf(snapshot.id),
      devices: snapshot.evidence.map(({ device }) => device),
      withMemory: snapshot.memory === 'internal' && !disksOnly,
    },
    goesOn: howItGoesOn(resume, snapshot.vmState),
  };
  return {
    admit: async (sight) => admit(errand, wish, sight),
    act: (start, sight): Promise<Report> =>
      wish.needs.withMemory ? loadMachine(errand, start, wish, sight) : loadImages(errand, start, wish),
    recover: (start) =>
      wish.needs.withMemory ? recoverMachine(errand, start, wish) : recoverImages(errand, start, wish),
  };
}

const howItGoesOn = (resume: Resume, captured: VmState | null): LoadWish['goesOn'] => {
  if (resume === 'as-captured') return captured === 'running' ? 'running' : 'paused';
  return resume;
};

function admit({ operationId, worker }: Errand, wish: LoadWish, sight: Sight): Start {
  const { snapshot, needs } = wish;
  if (sight.power === 'off') requireOffSuffices(wish);
  else requireOnSuffices(wish, sight);
  requireAtRest(sight);
  const obstacle = whyNotLoadable(sight, needs);
  if (obstacle) throw new Refusal(obstacle.reason, obstacle.message);
  const disks = needs.devices.flatMap((device) => diskOf(sight, device) ?? []);
  return {
    operationId,
    snapshotId: snapshot.id,
    worker,
    wasRunning: sight.power === 'running',
    nodes: Object.fromEntries(disks.map(({ device, node }) => [device, node])),
    files: Object.fromEntries(disks.map(({ device, file }) => [device, file])),
    plan: disks.map(({ device }) => `load ${needs.tag} into ${device}`),
    undo: [],
    vmState: vmStateOf(sight.power),
    memory: needs.withMemory ? 'internal' : 'none',
  };
}

function requireOffSuffices({ needs, resume }: LoadWish): void {
  if (needs.withMemory) {
    throw new Refusal('needs-power-on', 'the machine is off: start it, or load the disks only (disksOnly)');
  }
  if (resume === 'running') {
    throw new Refusal('needs-power-on', 'the machine is off, and nobody here can start it');
  }
}

function requireOnSuffices({ snapshot, needs }: LoadWish, sight: Sight): void {
  if (!needs.withMemory) {
    throw new Refusal('needs-power-off', 'only disks are to be loaded: power the machine off first');
  }
  requireResumable(sight);
  requireSameDisks(
    sight,
    [...snapshot.disks, ...snapshot.evidence].map(({ device }) => device),
  );
}
