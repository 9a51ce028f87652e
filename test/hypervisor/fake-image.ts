import type { Finished } from '#world';

export interface FakeTag {
  readonly id: string;
  readonly name: string;
  readonly memoryBytes: number;
  /** What the disk held then. */
  readonly content: string;
}

/** A qcow2 file, or a raw one. */
export interface FakeImage {
  readonly format: string;
  tags: FakeTag[];
  content: string;
  hasBitmaps: boolean;
  /** Who has it open; null: nobody. */
  lockedBy: string | null;
  /** What `qemu-img check` exits with: 0 sound, 2 corrupt, 3 leaking. */
  health: 0 | 2 | 3;
  isBeyondRepair: boolean;
  /** Tags that stand in the file and that QEMU does not list any more. */
  hidden: Set<string>;
}

export const fakeImage = (format = 'qcow2'): FakeImage => ({
  format,
  tags: [],
  content: 'first',
  hasBitmaps: false,
  lockedBy: null,
  health: 0,
  isBeyondRepair: false,
  hidden: new Set(),
});

export function putTag(image: FakeImage, name: string, memoryBytes = 0): void {
  const last = Math.max(0, ...image.tags.map(({ id }) => Number(id) || 0));
  image.tags.push({ id: String(last + 1), name, memoryBytes, content: image.content });
}

/** The first one of that name, as QEMU does. */
export function dropTag(image: FakeImage, name: string): boolean {
  const at = image.tags.findIndex((tag) => tag.name === name);
  if (at >= 0) image.tags.splice(at, 1);
  return at >= 0;
}

export const snapshotsOf = (tags: readonly FakeTag[]): object[] =>
  tags.map(({ id, name, memoryBytes }) => ({
    id,
    name,
    'vm-state-size': memoryBytes,
    'date-sec': 1_795_264_357,
    'date-nsec': 250_000_000,
    'vm-clock-sec': 1,
    'vm-clock-nsec': 5,
  }));

const ok = (stdout = ''): Finished => ({ code: 0, stdout, stderr: '' });
const no = (words: string, code = 1): Finished => ({ code, stdout: '', stderr: `qemu-img: ${words}\n` });

/** qemu-img, as far as the hypervisor uses it. */
export function imageTool(images: ReadonlyMap<string, FakeImage>, args: readonly string[]): Finished {
  const [command, imageOpts, ...rest] = args;
  const { format, file } = fileOf(rest.pop() ?? '');
  const image = images.get(file);
  if (imageOpts !== '--image-opts') return no('not called as it should be');
  if (!image) return no(`Could not open '${file}': No such file or directory`);
  if (format === 'qcow2' && image.format !== 'qcow2') return no('Image is not in qcow2 format');
  if (image.lockedBy !== null && !rest.includes('-U')) {
    return no('Failed to get "write" lock\nIs another process using the image?');
  }
  if (command === 'info') return ok(JSON.stringify(infoOf(file, image)));
  if (command === 'check') return checked(image, rest.includes('-r'));
  return changed(image, rest);
}

function fileOf(options: string): { format: string; file: string } {
  const [, format = '', file = ''] =
    /^driver=(\w+),file\.driver=file,file\.filename=(.*)$/.exec(options) ?? [];
  return { format, file: file.replaceAll(',,', ',') };
}

const infoOf = (filename: string, { format, tags, hasBitmaps }: FakeImage): object => ({
  filename,
  format,
  'virtual-size': 8_388_608,
  snapshots: snapshotsOf(tags),
  'format-specific': { type: format, data: hasBitmaps ? { bitmaps: [{ name: 'b' }] } : {} },
});

function checked(image: FakeImage, isRepair: boolean): Finished {
  if (isRepair && !image.isBeyondRepair) image.health = 0;
  return image.health === 0 ? ok() : { code: image.health, stdout: '', stderr: 'ERROR OFLAG_COPIED\n' };
}

function changed(image: FakeImage, [, action, tag = '']: readonly string[]): Finished {
  const found = image.tags.find(({ name }) => name === tag);
  switch (action) {
    case '-c':
      putTag(image, tag);
      return ok();
    case '-a':
      if (!found)
        return no(`Could not apply snapshot '${tag}': Failed to load snapshot: No such file or directory`);
      image.content = found.content;
      return ok();
    case '-d':
      return dropTag(image, tag) ? ok() : no(`Could not delete snapshot '${tag}': snapshot not found`);
  }
  return no(`unrecognized option '${action}'`);
}
