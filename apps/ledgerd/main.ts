import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

const NODE_MAJOR_MIN = 24;
const EXIT_TROUBLE = 1;
const EXIT_USAGE = 2;
/** SIGTERM ends us within 5 s. Whoever has not let go by then is left behind, as in a crash. */
const STOP_WITHIN_MS = 4_700;
/** Overlays, copies and memory hold what the guest's disks hold: they are not for everybody to read. */
const NOT_FOR_OTHERS = 0o007;

const say = (sentence: string): void => void process.stderr.write(`ledgerd: ${sentence}\n`);

async function main(): Promise<void> {
  // All else is imported only when it can be understood: an older Node fails at the first `node:sqlite`.
  const { readConfig, UsageError } = await import('./config.ts');
  const { usage } = await import('./options.ts');
  try {
    const { config, wish } = readConfig({
      args: process.argv.slice(2),
      env: process.env,
      workingDirectory: process.cwd(),
      hostname: hostname(),
      readText: (path) => readFileSync(path, 'utf8'),
    });
    if (wish === 'help') process.stdout.write(usage());
    else if (wish === 'print-config') process.stdout.write(`${JSON.stringify(config, null, 2)}\n`);
    else await run(config);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    say(`${error.message} (--help lists the options)`);
    process.exitCode = EXIT_USAGE;
  }
}

/** Runs until a signal comes. What keeps it from starting is told in one sentence. */
async function run(config: import('./config.ts').Config): Promise<void> {
  const [{ pino }, { realWorld }, { startDaemon }, { SECRET_MEMBERS }] = await Promise.all([
    import('pino'),
    import('#world'),
    import('./daemon.ts'),
    import('./log.ts'),
  ]);
  process.umask(process.umask(NOT_FOR_OTHERS) | NOT_FOR_OTHERS);
  const output = pino.destination({ dest: 1, sync: false });
  const log = pino({ level: config.logLevel, redact: [...SECRET_MEMBERS] }, output);
  try {
    const daemon = await startDaemon({ config, world: realWorld(), log });
    const { address } = daemon;
    log.info(
      { ...config, address },
      'ledgerd has started; without API keys everyone on this machine may command it',
    );
    stopOnSignal(async (signal) => {
      log.info({ signal }, 'ledgerd stops');
      await daemon.stop();
      log.info('ledgerd has stopped');
      output.flushSync();
    });
  } catch (error) {
    output.flushSync();
    say(await whyNot(error, config));
    process.exit(EXIT_TROUBLE);
  }
}

function stopOnSignal(stop: (signal: string) => Promise<void>): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      setTimeout(() => process.exit(0), STOP_WITHIN_MS).unref();
      void stop(signal).finally(() => process.exit(0));
    });
  }
}

/** What keeps a daemon from starting, for its operator. A bug keeps its stack. */
async function whyNot(error: unknown, { listen, data }: import('./config.ts').Config): Promise<string> {
  const { StoreTrouble } = await import('#event-store');
  const { FileTrouble } = await import('#world');
  if (error instanceof StoreTrouble || error instanceof FileTrouble)
    return `${error.message} (data: ${data})`;
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code === 'EADDRINUSE') return `somebody else answers at ${listen} already: choose another --listen`;
  if (code === 'EACCES' || code === 'EADDRNOTAVAIL')
    return `it is not possible to listen at ${listen} (${code})`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

if (Number(process.versions.node.split('.', 1)[0]) < NODE_MAJOR_MIN) {
  say(
    `Node.js ${process.versions.node} is too old, ${NODE_MAJOR_MIN} is needed: start it with deploy/ledgerd`,
  );
  process.exit(EXIT_TROUBLE);
} else {
  await main();
}
