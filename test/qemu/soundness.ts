/* Whether the images under a machine, and what QEMU has open of them, are what the ledger says. */
import { execFileSync, spawnSync } from 'node:child_process';
import type { House } from './house.ts';

/** What is wrong with the images, by `qemu-img check`, and where a header names another file than the ledger. */
export function flaws(home: House): string[] {
  return [...home.book.vm.layers.values()].flatMap(({ file, format, backing }) => {
    const share = home.isOn ? ['-U'] : [];
    const { status, stdout } = spawnSync('qemu-img', ['check', '-q', ...share, '-f', format, file], {
      encoding: 'utf8',
    });
    const isSound = status === 0 || status === 63 || status === 3; // Whatever was killed has leaked; nothing is lost by that.
    const info = execFileSync('qemu-img', ['info', '-U', '--output=json', file], { encoding: 'utf8' });
    const named = (JSON.parse(info) as { 'full-backing-filename'?: string })['full-backing-filename'] ?? null;
    return [
      ...(isSound ? [] : [`${file}: ${stdout}`]),
      ...(named === backing ? [] : [`${file} stands on ${named}, not on ${backing}`]),
    ];
  });
}

/** The files under each disk, the lowest last, as the ledger has them. */
export function knownChains({ book: { vm } }: House): string[][] {
  const { layers, disks } = vm;
  const chainOf = (file: string | null): string[] =>
    file === null ? [] : [file, ...chainOf(layers.get(file)?.backing ?? null)];
  return disks.map(({ file }) => chainOf(file));
}

/** The same as QEMU has them open. */
export async function openChains(home: House): Promise<string[][]> {
  interface Image {
    filename: string;
    'backing-image'?: Image;
  }
  const blocks = (await home.vm.monitor.execute('query-block')) as { inserted?: { image: Image } }[];
  return blocks.map(({ inserted }) => {
    const files: string[] = [];
    for (let image = inserted?.image; image; image = image['backing-image']) files.push(image.filename);
    return files;
  });
}

/** Every file that QEMU has open under any name. */
export async function openFiles(home: House): Promise<string[]> {
  const nodes = await home.vm.monitor.execute('query-named-block-nodes', { flat: true });
  return [...new Set((nodes as { file: string }[]).map(({ file }) => file))].toSorted();
}
