/** How one setting is called at each of its three doors. Its key in a config file is its name in `Config`. */
export interface OptionName {
  readonly flag: string;
  readonly variable: string;
  /** What stands behind the flag in the usage. */
  readonly argument: string;
  /** One line for `--help`. */
  readonly says: string;
  /** May be given several times as a flag; the variable separates the values by this. */
  readonly separator?: ':' | ',';
}

/** Every setting there is by now. */
export const OPTIONS = {
  data: {
    flag: 'data',
    variable: 'SNAPLEDGER_DATA',
    argument: 'DIR',
    says: 'where the log, the views and the transcripts are kept (./data)',
  },
  listen: {
    flag: 'listen',
    variable: 'SNAPLEDGER_LISTEN',
    argument: 'HOST:PORT',
    says: 'where HTTP is answered (127.0.0.1:7420); loopback only',
  },
  roles: {
    flag: 'roles',
    variable: 'SNAPLEDGER_ROLES',
    argument: 'http,worker',
    says: 'what this process does (http,worker)',
    separator: ',',
  },
  store: {
    flag: 'store',
    variable: 'SNAPLEDGER_STORE',
    argument: 'sqlite:FILE|memory:',
    says: 'where the log is (sqlite: inside the data directory)',
  },
  host: {
    flag: 'host',
    variable: 'SNAPLEDGER_HOST',
    argument: 'NAME',
    says: 'the host whose VMs this worker serves (the name of this machine)',
  },
  monitorRoots: {
    flag: 'monitor-root',
    variable: 'SNAPLEDGER_MONITOR_ROOTS',
    argument: 'DIR',
    says: 'a directory that sockets of QMP and guest agents may be in; may be repeated (none: no VM can be registered)',
    separator: ':',
  },
  imageRoots: {
    flag: 'image-root',
    variable: 'SNAPLEDGER_IMAGE_ROOTS',
    argument: 'DIR',
    says: 'a directory that images may be in; may be repeated (the directories of the VM’s own disks)',
    separator: ':',
  },
  launcherStart: {
    flag: 'launcher-start',
    variable: 'SNAPLEDGER_LAUNCHER_START',
    argument: 'CMD',
    says: 'starts the QEMU of a VM, for loads that need a new one; words, no shell (none)',
  },
  launcherStop: {
    flag: 'launcher-stop',
    variable: 'SNAPLEDGER_LAUNCHER_STOP',
    argument: 'CMD',
    says: 'ends the QEMU of a VM (none)',
  },
  snapshotsMax: {
    flag: 'snapshots-max',
    variable: 'SNAPLEDGER_SNAPSHOTS_MAX',
    argument: 'N',
    says: 'live snapshots that one VM may have (200)',
  },
  chainMax: {
    flag: 'chain-max',
    variable: 'SNAPLEDGER_CHAIN_MAX',
    argument: 'N',
    says: 'layers that one backing chain may have (64)',
  },
  onWrongChain: {
    flag: 'on-wrong-chain',
    variable: 'SNAPLEDGER_ON_WRONG_CHAIN',
    argument: 'stop|report',
    says: 'what becomes of a machine that was started from a wrong layer (stop)',
  },
  reconcileEvery: {
    flag: 'reconcile-every',
    variable: 'SNAPLEDGER_RECONCILE_EVERY',
    argument: 'SECONDS',
    says: 'how often each idle VM is looked at for drift; 0 for never (600)',
  },
  logLevel: {
    flag: 'log-level',
    variable: 'SNAPLEDGER_LOG_LEVEL',
    argument: 'LEVEL',
    says: 'trace, debug, info, warn, error or silent (info)',
  },
} as const satisfies Record<string, OptionName>;

export type OptionKey = keyof typeof OPTIONS;

/** Settings that are promised and not built: to swallow them would let the operator believe in them. */
export const NOT_BUILT: readonly { readonly flag: string; readonly variable: string }[] = [
  { flag: 'kafka', variable: 'SNAPLEDGER_KAFKA_BROKERS' },
  { flag: 'qmp', variable: 'SNAPLEDGER_QMP' },
  { flag: 'qmp-tcp', variable: 'SNAPLEDGER_QMP_TCP' },
];

/** Variables with our prefix that are somebody else's: ledgerctl's, and the one that names the config file. */
export const OTHER_VARIABLES: ReadonlySet<string> = new Set([
  'SNAPLEDGER_URL',
  'SNAPLEDGER_TOKEN',
  'SNAPLEDGER_CONFIG',
]);

export const VARIABLE_PREFIX = 'SNAPLEDGER_';

/** What `--help` prints. */
export function usage(): string {
  const lines = Object.values(OPTIONS).map(({ flag, variable, argument, says }) => {
    const left = `--${flag} ${argument}`;
    return `  ${left.padEnd(30)} ${says}\n  ${''.padEnd(30)} ${variable}`;
  });
  return [
    'usage: ledgerd [options]',
    '',
    ...lines,
    `  ${'--config FILE'.padEnd(30)} a JSON file with the same settings (monitorRoots, snapshotsMax …)`,
    `  ${''.padEnd(30)} SNAPLEDGER_CONFIG`,
    `  ${'--print-config'.padEnd(30)} shows what results from all of these, and exits`,
    '',
    'A flag wins over a variable, a variable over the config file.',
    '',
  ].join('\n');
}
