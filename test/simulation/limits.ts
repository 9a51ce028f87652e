import type { DataOf, PlannedLayer, VmEvent } from '#ledger';
import { type Open, PREFIX } from './known.ts';
import type { BlockNode } from './qemu/block-graph.ts';
import type { Image } from './qemu/image.ts';
import type { SimulatedVm } from './simulated-vm.ts';
import { must } from './violation.ts';

/** What went wrong in one VM, and could not be known or prevented, or is known and not mended yet. */
export class Limits {
  /** Files that a machine writes on which was started before the log told that they are frozen. */
  readonly astray = new Set<string>();
  /** Overlays that are held, and what lies below them: a clock that was put back says that somebody wrote there. */
  readonly mistaken = new Set<string>();
  /** Tags of snapshots whose layer the machine has gone on in. */
  readonly thawed = new Set<string>();
  /** Tags of all that loads have saved, or were to. An earlier one may be removed any time, in part. */
  readonly pins = new Set<string>();
  /** Of these a part may be there or gone, and nobody has said so. */
  readonly faded = new Set<string>();
  /** Files that loads have copied with all that was inside. */
  readonly layerCopies = new Set<string>();
  /** Names that were to be given to copies: whoever dies after it took one leaves a file of nothing, as anybody may. */
  readonly named = new Set<string>();
  /** Whether an operation has just failed of where the machine stands. */
  #isFoundAstray = false;
  /** Whether somebody was told that the guest may still be frozen. */
  isFrozenKnown = false;
  #hasUnseen = false;
  /** What devices hold without their image, and a person has said that it is fine so. */
  readonly #empty = new Set<BlockNode>();

  /** What the log says, one after the other. Throws a `Violation`. */
  hear({ type, data }: VmEvent): void {
    if (JSON.stringify(data).includes('may still be frozen')) this.isFrozenKnown = true;
    const isTold = !this.#isFoundAstray || type === 'DriftFound';
    must(
      isTold,
      'I18',
      () => `a machine was found on a wrong chain, and ${type} comes before what that means`,
    );
    this.#isFoundAstray = 'reason' in data && data.reason === 'vm-held';
  }

  /** What an operation is about to make. */
  make({ overlays = [], backups = [] }: DataOf<'OperationStarted'>): void {
    for (const { file, by } of overlays) {
      if (by === 'copy') this.layerCopies.add(file);
      this.named.add(file);
    }
    for (const { target } of backups) this.named.add(target);
  }

  /**
   * Somebody is said to have written below a capture's overlays. Only files' times tell that, and they may tell wrong only
   * of a clock that was put back since, or since they were written before. Throws a `Violation`.
   */
  checkWritten({ started, atMs }: Open, vm: SimulatedVm): void {
    const { files, putBackAtMs } = vm.host;
    const { overlays = [] } = started ?? {};
    if (overlays.some(({ backing }) => !files.image(backing ?? '')?.frozen)) {
      // By us, perhaps, who are taking it back: a sign without a word in it, and such a clock, have said otherwise.
      if (vm.lastStartedMs < atMs && isPutBackSinceStart(vm)) this.#mistake(overlays);
      return;
    }
    const isTimeless = overlays.some(({ backing, backingModifiedAt: beganAt = 0 }) => {
      const at = files.stat(backing ?? '')?.modifiedAt;
      return at !== undefined && at < beganAt;
    });
    must(isTimeless || putBackAtMs >= atMs, 'I17', () => 'layers are held that nobody has written');
    this.#mistake(overlays);
  }

  /**
   * Somebody is said to have started a machine below a capture's overlays. Where there was no room for a word into their
   * sign, that may tell wrong of a clock that was put back since the machine was started. Throws a `Violation`.
   */
  checkStarted({ started, atMs }: Open, vm: SimulatedVm): void {
    if (vm.lastTouchedMs >= atMs) return;
    must(isPutBackSinceStart(vm), 'I17', () => 'layers are held that nobody was started below');
    this.#mistake(started?.overlays ?? []);
  }

  #mistake(overlays: readonly PlannedLayer[]): void {
    for (const { file, backing } of overlays)
      for (const path of [file, backing ?? '']) this.mistaken.add(path);
  }

  /**
   * Whether the power took a machine that was started since below overlays that were half down, and at which nobody had
   * looked: nothing tells of it then.
   */
  isUnseen({ lostUnseenMs }: Pick<SimulatedVm, 'lostUnseenMs'>, sinceMs: number): boolean {
    const isSo = lostUnseenMs >= sinceMs;
    this.#hasUnseen ||= isSo;
    return isSo;
  }

  /** Whether the machine was started from a file once nobody looked at it any more, and before the log told what it holds. */
  isStartedUnseen(file: string, { lastStartedMs, host }: SimulatedVm): boolean {
    const isSo = lastStartedMs > (host.files.lookedAtMs.get(file) ?? -1);
    if (isSo) this.astray.add(file);
    return isSo;
  }

  /** A person takes a machine as it is, in which a device has lost its image to a load. */
  leaveEmpty(node: BlockNode, top: string): void {
    this.#empty.add(node);
    this.astray.add(top);
  }

  /** Whether a load that ended in its middle has left this, and the machine is held for it, or was released as it is. */
  isLeftEmpty(node: BlockNode, isHeld: boolean): boolean {
    return node.image === null && (isHeld || this.#empty.has(node));
  }

  get hasStrays(): boolean {
    return this.astray.size + this.mistaken.size > 0;
  }

  /** Whether nobody can tell by the log what a file is to hold. */
  isAstray(file: string): boolean {
    return this.astray.has(file) || this.mistaken.has(file);
  }

  /** How often each happened. */
  counted(images: readonly Image[]): ReadonlyMap<string, number> {
    const entries = images.flatMap(({ snapshots }) => snapshots);
    const there = new Set(entries.map(({ name }) => name));
    const all = {
      // Without a launcher nobody can fence a machine that is started again.
      'the guest ran on a torn disk': entries.filter(
        ({ isDamaged, name }) => isDamaged && name.startsWith(PREFIX),
      ).length,
      'a machine was started from a layer that was frozen meanwhile': this.astray.size,
      'a clock was put back, and what was captured then is held': this.mistaken.size,
      'a machine was started and lost its power, and nobody had looked at it': Number(this.#hasUnseen),
      'a machine has gone on in what a load was to leave': this.thawed.size,
      'a pin was saved or removed in part, and nobody says so': [...this.faded].filter((tag) =>
        there.has(tag),
      ).length,
    };
    return new Map(Object.entries(all).filter(([, times]) => times > 0));
  }
}

/** Whether the clock was put back since the machine was started: its socket may be younger than what was made later. */
const isPutBackSinceStart = ({ host, lastStartedMs }: SimulatedVm): boolean =>
  lastStartedMs >= 0 && host.putBackAtMs >= lastStartedMs;
