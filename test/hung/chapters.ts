/* Which troubles there are, and in which requests. */
import { join } from 'node:path';
import { type ChaosKind, KINDS } from '../chaos/kinds.ts';
import { SmallDisk } from '../qemu/small-disk.ts';
import { type Cause, full, hung, stopped } from './causes.ts';
import { openScene, type Scene } from './scene.ts';
import { canBeReadOnly, rootOn, storeFull, storeLocked, storeReadOnly } from './store-causes.ts';

export interface Chapter {
  readonly cause: Cause;
  readonly kinds: readonly ChaosKind[];
  open(kind: ChaosKind, haste: number): Promise<Scene>;
  /** Gives back what it has been lent. */
  close(): void;
}

const DATA_MB = 16;
const IMAGES_MB = 64;

const ofMachines = (cause: Cause, kinds: readonly ChaosKind[] = KINDS): Chapter => ({
  ...{ cause, kinds, close: () => undefined },
  open: ({ disksCount }, haste) => openScene({ disksCount, haste }),
});

/** On which the images of the machine lie. */
const ofImages = (disk: SmallDisk): Chapter => ({
  cause: full(disk),
  kinds: [...KINDS.filter(({ name }) => /outside|memory/.test(name)), copies(disk.directory)],
  open: ({ disksCount }, haste) => {
    disk.clear();
    return openScene({ disksCount, haste, images: disk.directory });
  },
  close: () => disk.unmount(),
});

/** Each copy goes to a file of its own. */
export function copies(directory: string): ChaosKind {
  let count = 0;
  return {
    ...{ name: 'create with copies', disksCount: 2, method: 'POST', leaves: 'present' },
    path: () => '/snapshots',
    get body() {
      count += 1;
      const backups = ['dev-d0', 'dev-d1'].map((device) => ({
        ...{ device, target: join(directory, `copy-${count}-${device}.qcow2`), sync: 'full' },
      }));
      return { diskOnly: true, backups };
    },
  };
}

/** In what is done at once, and in what is done later. */
const STORED = KINDS.filter(({ name }) =>
  /^(create|load|merge) (of disks )?(inside|outside), 2 disks$/.test(name),
);

const ofStore = (cause: Cause): Chapter => ofMachines(cause, STORED);

const onSmallDisk = (disk: SmallDisk): Chapter => ({
  ...{ cause: storeFull(disk), kinds: STORED, close: () => disk.unmount() },
  open: ({ disksCount }, haste) => openScene({ disksCount, haste, root: rootOn(disk) }),
});

/** Those that there can be here. */
export function chapters(): Chapter[] {
  const [images, data] = [SmallDisk.mount(IMAGES_MB), SmallDisk.mount(DATA_MB)];
  return [
    ofMachines(stopped),
    ofMachines(hung),
    ...(images ? [ofImages(images)] : []),
    ...(data ? [onSmallDisk(data)] : []),
    ofStore(storeLocked()),
    ...(canBeReadOnly() ? [ofStore(storeReadOnly)] : []),
  ];
}
