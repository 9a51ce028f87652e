import { type Hypervisor, openHypervisor } from '#hypervisor';
import { FakeHost, IMAGES, MONITOR } from './fake-host.ts';
import type { FakeQemu } from './fake-qemu.ts';
import { Notebook } from './notebook.ts';

export const TRANSCRIPTS = '/data/transcripts';

/** A registered machine on a host in memory, and a worker to work on it. */
export interface Stage {
  readonly host: FakeHost;
  /** As it was registered; see `host.qemu` for one that was started later. */
  readonly qemu: FakeQemu;
  hypervisor: Hypervisor;
  book: Notebook;
  /** The worker dies: its promises never settle again, and another one takes over its ledger. */
  succeed(): void;
}

const hypervisorOn = ({ world }: FakeHost): Hypervisor =>
  openHypervisor({
    world,
    monitorRoots: ['/run/vm'],
    imageRoots: [IMAGES],
    worker: 'w1',
    transcriptsDir: TRANSCRIPTS,
  });

/** A machine that runs, with a disk of each format: devices na-dev, nb-dev … on the images a, b … */
export async function running(formats?: readonly string[]): Promise<Stage> {
  const host = new FakeHost(formats);
  const qemu = host.boot();
  const hypervisor = hypervisorOn(host);
  const book = new Notebook(hypervisor);
  await book.register(MONITOR);
  const stage: Stage = {
    host,
    qemu,
    hypervisor,
    book,
    succeed() {
      host.fault = () => Promise.resolve();
      stage.hypervisor = hypervisorOn(host);
      stage.book = stage.book.heir(stage.hypervisor);
    },
  };
  return stage;
}

/** The same, and then switched off. */
export async function switchedOff(formats?: readonly string[]): Promise<Stage> {
  const stage = await running(formats);
  stage.host.die();
  return stage;
}
