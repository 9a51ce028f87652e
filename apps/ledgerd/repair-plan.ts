import { digestOf } from '#event-store';
import { type Orphan, orphansIn, type Vm } from '#ledger';

/** What a repair would do, and what people know it by. */
export interface RepairPlan {
  readonly hash: string;
  /** In words, in order. */
  readonly commands: readonly string[];
  readonly filesUnlinked: readonly string[];
}

/** What would be removed of what the last look found: what bears our names and belongs to no snapshot. */
export function repairPlan(vm: Pick<Vm, 'id' | 'drift'>): RepairPlan {
  const orphans = orphansIn(vm);
  return {
    hash: digestOf({ vmId: vm.id, found: vm.drift.filter(({ kind }) => kind === 'orphan') }),
    commands: orphans.map(wordsFor),
    filesUnlinked: orphans.flatMap(({ file, tag }) => (tag === undefined ? [file] : [])),
  };
}

const wordsFor = ({ device, file, tag }: Orphan): string =>
  tag === undefined ? `unlink ${file}` : `remove ${tag} from disk "${device}" (${file})`;
