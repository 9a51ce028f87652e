import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realWorld } from '#world';
import { Daemon } from './daemon.ts';
import { Guest } from './guest.ts';
import { Stage } from './stage.ts';
import { tell } from './story.ts';

const USAGE = `npm run demo [-- --keep]

Boots a throwaway machine with two disks, starts ledgerd on a fresh data directory and shows what Snapledger does when
all goes well and when it does not. Leaves no process and no file behind.

  --keep   leave machine and daemon running to play with; Ctrl-C ends them`;

const root = join(import.meta.dirname, '../../..'); // This file runs as dist/deploy/demo/main.js.

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((arg) => arg !== '--keep');
  if (unknown !== undefined) {
    console.log(USAGE);
    return unknown === '--help' ? 0 : 2;
  }
  const world = realWorld();
  const directory = mkdtempSync(join(tmpdir(), 'snapledger-demo-'));
  const guest = new Guest(world, directory);
  let daemon: Daemon | null = null;
  const end = async (): Promise<void> => {
    await daemon?.stop();
    await guest.kill();
    rmSync(directory, { recursive: true, force: true });
  };
  const interrupted = (): void => void end().then(() => process.exit(130));
  process.on('SIGINT', interrupted);
  process.on('SIGTERM', interrupted);
  const startedAt = world.clock.monotonic();
  try {
    guest.makeDisks();
    const pid = await guest.start();
    daemon = await Daemon.start(world, root, directory);
    console.log(`QEMU runs as ${pid}, ledgerd as ${daemon.pid}, everything of theirs is in ${directory}`);
    await tell(world, new Stage(root, join(directory, 'data'), daemon.url), guest);
    console.log(`\nDone in ${Math.round((world.clock.monotonic() - startedAt) / 1000)} s.`);
    if (args.includes('--keep')) await keep(daemon, directory);
    return 0;
  } catch (error) {
    console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    await end();
  }
}

/** Until somebody presses Ctrl-C. */
function keep(daemon: Daemon, directory: string): Promise<void> {
  console.log(`Kept running. To play:
  export SNAPLEDGER_URL=${daemon.url}
  npm run -s ledgerctl -- tree demo
The disks are in ${directory}. Ctrl-C ends all and removes it.`);
  return new Promise(() => setInterval(() => undefined, 60_000));
}

process.exitCode = await main(process.argv.slice(2));
