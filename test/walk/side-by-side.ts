/* Does to the real machine and to the model what is asked for, and compares what came of it. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { Refusal, type Report } from '#ledger';
import { v7 } from 'uuid';
import { disagreements, soundness } from './agreement.ts';
import { type Content, DISK_MB, type Machine, Model } from './model.ts';
import {
  type BackupWish,
  type Create,
  type DiskWish,
  isToBeStarted,
  memoryOf,
  modesOf,
  type Operation,
  type OperationOf,
} from './operations.ts';
import { Subject } from './subject.ts';
import { wordsFor } from './words.ts';

/** A copy of a disk that a caller asked for, and what the disk held then. */
interface Copy {
  readonly letter: string;
  readonly image: { readonly file: string; readonly format: string };
  readonly content: Content;
}

export class SideBySide {
  readonly model: Model;
  readonly subject: Subject;
  /** What happened, line by line. */
  readonly story: string[];
  readonly #copies: Copy[] = [];

  constructor(machine: Machine) {
    const { letters, raw, hasLauncher } = machine;
    this.model = new Model(machine);
    this.subject = new Subject(machine);
    const launcher = hasLauncher ? 'with' : 'without';
    this.story = [`disks ${letters}, raw: ${raw || 'none'}, ${launcher} launcher`];
  }

  begin(): Promise<void> {
    return this.subject.begin();
  }

  /** How it ended: `created`, `refused: in-use`, `undone: needs-power-on` … The model follows. */
  async carryOut(operation: Operation): Promise<string> {
    try {
      return await this.#ask(operation);
    } catch (error) {
      if (error instanceof Refusal) return `refused: ${error.code}`;
      throw error;
    }
  }

  #ask(operation: Operation): Promise<string> | string {
    switch (operation.do) {
      case 'create':
        return this.#create(operation);
      case 'load':
        return this.#load(operation);
      case 'delete':
      case 'delete-all':
        return this.#delete(operation);
      case 'rename':
        return this.#rename(operation);
      case 'retire':
      case 'unretire':
        return this.#retire(operation);
      case 'power':
        return this.#turn();
      case 'pause':
        return this.#pause();
    }
  }

  async #create(create: Create): Promise<string> {
    const { home } = this.subject;
    const { memory, namesMemoryFile, isStream, diskOnly, takenName } = create;
    const id = v7();
    home.book.ask({
      snapshotId: id,
      disks: [...create.disks].flatMap(([letter, wish]) => this.#captureOf(id, letter, wish)),
      diskOnly,
      ...(memory && { memory }),
      ...(isStream && { memoryFormat: 'stream' as const }),
      ...(namesMemoryFile && { memoryFile: join(home.dir, `memory-${id}.qcow2`) }),
      ...(takenName !== undefined && { name: takenName }),
      ...{ quiesce: create.quiesce, backups: this.#backupsOf(id, create) },
    });
    const { end, report } = await home.finish();
    if (end !== 'created') return this.#told(end, report);
    this.#expectExtras(create, report);
    for (const file of this.subject.callers) if (file.includes(id)) this.subject.callers.delete(file);
    this.#keepCopies(id, create);
    this.model.create({
      id,
      name: home.book.snapshot(id).name,
      hasMemory: memoryOf(create, home.isOn) !== 'none',
      isStream,
      modes: modesOf(create),
      canHold: (letter) => create.disks.get(letter)?.isQed !== true,
      copiedTops: [...create.backups].flatMap(([letter, { sync }]) => (sync === 'top' ? letter : [])),
    });
    this.story.push(`   ${wordsFor(this.model.snapshot(id))}`);
    return end;
  }

  #copyOf(id: string, letter: string, { format }: BackupWish): { file: string; format: string } {
    return { file: join(this.subject.home.dir, `copy-${id}-${letter}.${format}`), format };
  }

  #backupsOf(id: string, { backups }: Create) {
    return [...backups].map(([letter, wish]) => {
      const { file: target, format } = this.#copyOf(id, letter, wish);
      return {
        device: `dev-d${letter}`,
        target,
        format,
        sync: wish.sync,
        fileMode: 'absolute-paths' as const,
      };
    });
  }

  /** They are the caller's: whatever becomes of the layers they stand on, they go on holding what they hold. */
  #keepCopies(id: string, { backups }: Create): void {
    for (const [letter, wish] of backups) {
      const image = this.#copyOf(id, letter, wish);
      this.subject.callers.add(image.file);
      this.#copies.push({ letter, image, content: this.model.disk(letter).content });
    }
  }

  /** In words: copies that do not hold what their disks held when they were made. */
  async #spoiltCopies(): Promise<string[]> {
    const wrong: string[] = [];
    for (const { letter, image, content } of this.#copies) {
      const words = await this.subject.whyNotIn(image, content);
      wrong.push(...words.map((why) => `the copy of ${letter} in ${image.file}: ${why}`));
    }
    return wrong;
  }

  /** The guest was frozen if it could be. */
  #expectExtras(create: Create, report: Report): void {
    const wrong: string[] = [];
    const isDue = create.quiesce !== 'none' && this.model.power === 'running';
    const isFrozen = isDue && memoryOf(create, true) === 'none';
    const { quiesce } = report.type === 'ReportCreated' ? report.created : {};
    if ((quiesce?.achieved === 'filesystem') !== isFrozen)
      wrong.push(`of the freeze has come ${JSON.stringify(quiesce)}`);
    if (wrong.length > 0) throw new Error(wrong.join('\n'));
  }

  #captureOf(id: string, letter: string, { mode, fileMode, isQed }: DiskWish) {
    if (mode === null) return [];
    const format = isQed ? 'qed' : 'qcow2';
    const file = join(this.subject.home.dir, `named-${id}-${letter}.${format}`);
    if (fileMode === 'existing') this.#makeOverlay(letter, file, format);
    const where = { ...(isQed && { format }), ...(fileMode && { file, fileMode }) };
    return [{ device: `dev-d${letter}`, mode, ...where }];
  }

  #makeOverlay(letter: string, file: string, format: string): void {
    const top = this.subject.top(letter);
    const backing = ['-b', top.file, '-F', top.format];
    execFileSync('qemu-img', ['create', '-q', '-u', '-f', format, ...backing, file, `${DISK_MB}M`]);
    this.subject.callers.add(file);
  }

  async #load(load: OperationOf<'load'>): Promise<string> {
    const { id, safety, goesOn, disksOnly } = load;
    const { model } = this;
    const { home } = this.subject;
    const wasOn = home.isOn;
    const { hasMemory, power } = model.snapshot(id);
    const pin = safety === 'none' ? null : { snapshotId: v7(), what: safety };
    home.book.askLoad(id, { resume: goesOn, disksOnly, ...(pin && { pin }) });
    const before = [...home.book.vm.snapshots.keys()];
    const { end, report } = await home.finish();
    if (end !== 'loaded') return this.#told(end, report);
    await this.subject.follow();
    const asCaptured = power === 'running' ? 'running' : 'paused';
    const wrong = model.load({
      id,
      withMemory: hasMemory && !disksOnly,
      goesOn: goesOn === 'as-captured' ? asCaptured : goesOn,
      isStarted: !wasOn && isToBeStarted(load, { hasMemory }),
      pin: pin && {
        id: pin.snapshotId,
        name: home.book.snapshot(pin.snapshotId).name,
        hasMemory: pin.what === 'memory' && wasOn,
      },
      gone: before.filter((other) => !home.book.vm.snapshots.has(other)),
    });
    if (wrong.length > 0) throw new Error(`the wrong pins have gone or stayed: ${wrong.join(', ')}`);
    if (pin) this.story.push(`   ${wordsFor(model.snapshot(pin.snapshotId))}`);
    return end;
  }

  #told(end: string, report: Report): string {
    this.story.push(`   ${JSON.stringify(report)}`);
    return end;
  }

  async #delete(operation: OperationOf<'delete' | 'delete-all'>): Promise<string> {
    const { model } = this;
    const { home } = this.subject;
    if (operation.do === 'delete-all') home.book.handle({ type: 'DeleteAllSnapshots', operationId: v7() });
    else home.book.askDelete(operation.id, operation.strategy);
    const { end, report } = await home.finish();
    if (end !== 'deleted') return this.#told(end, report);
    if (operation.do === 'delete-all') model.remove([...model.snapshots.keys()], 'all');
    else if (operation.strategy.startsWith('discard')) model.remove(model.subtree(operation.id), 'discarded');
    else model.remove([...model.losers(operation.id).map(({ id }) => id), operation.id], 'merged');
    return end;
  }

  #rename({ id, name }: OperationOf<'rename'>): string {
    this.subject.home.book.handle({ type: 'PatchSnapshot', snapshotId: id, name });
    this.model.snapshot(id).name = name;
    return 'done';
  }

  #retire(operation: OperationOf<'retire' | 'unretire'>): string {
    const { book } = this.subject.home;
    const { id: snapshotId } = operation;
    if (operation.do === 'unretire') book.handle({ type: 'UnretireSnapshot', snapshotId });
    else book.handle({ type: 'DeleteSnapshot', snapshotId, operationId: v7() });
    this.model.snapshot(snapshotId).isRetired = operation.do === 'retire';
    return 'done';
  }

  async #turn(): Promise<string> {
    const isOn = this.model.power !== 'off';
    if (isOn) await this.subject.home.off();
    else await this.subject.boot();
    this.model.power = isOn ? 'off' : 'running';
    this.model.memory = null;
    return 'done';
  }

  async #pause(): Promise<string> {
    const isPaused = this.model.power === 'paused';
    await this.subject.home.vm.monitor.execute(isPaused ? 'cont' : 'stop');
    this.model.power = isPaused ? 'running' : 'paused';
    return 'done';
  }

  /** @throws {Error} in words, where the machine or its ledger is not what the model says */
  async expectAgreement(): Promise<void> {
    const { memory, disks } = this.model;
    const wrong = await disagreements(this.subject.home, this.model);
    for (const { letter, content } of disks) wrong.push(...(await this.subject.whyNot(letter, content)));
    const seen = this.subject.home.isOn && memory !== null ? this.subject.memory() : memory;
    if (seen !== memory) wrong.push(`the memory is ${seen}, not ${memory}`);
    if (this.model.power === 'off') wrong.push(...soundness(this.subject), ...(await this.#spoiltCopies()));
    if (this.subject.isFrozen) wrong.push('the guest is frozen');
    if (wrong.length > 0) throw new Error(wrong.join('\n'));
  }
}
