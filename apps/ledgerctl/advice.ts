import type { FailureCode } from '#ledger';
import { exitCodeOf, type OwnReason, type Problem, type Trouble } from './problem.ts';
import { EXIT } from './exit.ts';
import type { Screen } from './screen.ts';

const LOOK = 'look at it first: ledgerctl vm show VM, ledgerctl tree VM';

/** What a person can do next, for every reason there is: a new one without advice does not compile. */
const ADVICE: Readonly<Record<FailureCode | OwnReason, string>> = {
  'invalid-body': 'ledgerctl COMMAND --help shows what is allowed',
  'invalid-query': 'ledgerctl COMMAND --help shows what is allowed',
  'vm-unknown': 'ledgerctl vm list shows the VMs',
  'snapshot-unknown': 'ledgerctl list VM shows the snapshots that live, ledgerctl history VM those that did',
  'operation-unknown': 'ledgerctl operations shows them',
  'route-unknown': 'is that the right --url, and is ledgerd as new as ledgerctl?',
  'method-not-allowed': 'is that the right --url, and is ledgerd as new as ledgerctl?',
  'vm-busy': 'wait for the operation that is under way, then try again',
  'machine-busy': 'QEMU is busy with a job or a migration that is not ours; try again when it has ended',
  'vm-held': 'ledgerctl vm show VM says what is left; load a snapshot, or ledgerctl release VM NOTE',
  'not-loadable': LOOK,
  'not-complete': LOOK,
  'config-mismatch': 'start the machine as it was when the snapshot was taken, or load --disks-only',
  'snapshot-damaged': 'it cannot be loaded; load another one, ledgerctl tree VM shows them',
  'name-taken': 'choose another name, or delete or rename who has it',
  'id-used': 'choose another id, or none',
  'monitor-taken': 'give each VM its own monitor; ledgerctl vm list shows whose it is',
  'image-taken': 'an image belongs to one VM; ledgerctl vm list shows whose it is',
  'has-children': 'delete --merge keeps the children, delete --discard-force takes them along',
  'would-discard': 'delete --merge-force takes them along',
  'in-use': 'the machine stands on it; delete --merge is the way',
  protected: 'ledgerctl unprotect VM SNAP lifts that',
  'too-many-snapshots': 'delete some first, or raise --snapshots-max of ledgerd',
  'not-cancelable': 'wait for it: ledgerctl operation ID --wait',
  'stale-version': 'somebody was faster; look again and decide again',
  'plan-changed': 'the machine or its snapshots have changed since; look again with --dry-run',
  'too-large': 'say less, or say it in pieces',
  'media-type': 'is that the right --url, and is ledgerd as new as ledgerctl?',
  unsupported: 'ledgerctl COMMAND --help shows what can be asked for',
  'invalid-name': 'choose another name',
  'invalid-combination': 'ledgerctl create --help explains --memory, --disk and --disk-only',
  'nothing-to-snapshot': 'ledgerctl vm status VM says what can be snapshotted',
  'disk-unsupported': 'leave that disk out with --disk DEVICE=none; ledgerctl vm status VM shows them all',
  'path-not-allowed': 'start ledgerd with a --monitor-root or --image-root that holds the path',
  'not-a-monitor': 'name the unix socket of a QMP monitor (qemu -qmp unix:PATH,server,nowait)',
  'needs-power-off': 'switch the machine off first',
  'needs-power-on': 'start the machine first, or load --disks-only',
  'no-guest-agent': "register the guest agent's socket, or ask for no quiescing",
  'key-reused': 'that key belongs to another command; use a new one, or none',
  'host-unreachable': "is the machine's monitor there? Try again in a moment",
  'view-behind': 'what is shown is catching up with the log; look again in a moment',
  'store-unavailable': 'look at the log of ledgerd, then try again',
  'log-newer': 'a newer ledgerd has written the log; run that one',
  internal: 'look at the log of ledgerd; ledgerctl history VM says what was done',
  'no-space': 'free some space, then try again',
  expired: 'it did not begin in time; try again',
  'machine-gone': 'QEMU ended on the way; start the machine, then try again',
  'refused-by-qemu': 'ledgerctl operation ID shows each step and what QEMU said',
  canceled: 'nothing more is to be done',
  usage: 'ledgerctl COMMAND --help',
  'cannot-connect': 'is ledgerd running there? --url or SNAPLEDGER_URL says where to look',
  'not-ledgerd': 'is that the right --url?',
  'outcome-unknown': 'ledgerctl operations and ledgerctl history VM say what was done',
  interrupted: 'nothing was asked for',
  'data-in-use': 'stop the ledgerd that uses it first',
  'data-unusable': 'is that the right directory, and the right file?',
  unexpected: 'this is a fault of ledgerctl: please report it with the command you gave',
};

/** What to do about a reason; '' for one that is newer than this program. */
export const adviceFor = (reason: string): string =>
  Object.hasOwn(ADVICE, reason) ? ADVICE[reason as keyof typeof ADVICE] : '';

/** A trouble in two lines: what is wrong, and what to do next. */
export function complaintOf({ problem, next }: Trouble, screen: Screen): string {
  const what = `${screen.paint('red', screen.text(problem.reason))}: ${screen.text(sentenceOf(problem))}`;
  const advice = next || nextOf(problem);
  return `ledgerctl: ${what}\n${advice === '' ? '' : `  next: ${screen.text(advice)}\n`}`;
}

const sentenceOf = ({ detail, title }: Problem): string => detail || title || 'no more is known';

function nextOf(problem: Problem): string {
  const { reason, operationId } = problem;
  const isBusy = exitCodeOf(problem) === EXIT.busy;
  if (isBusy && operationId) return `wait for it: ledgerctl operation ${operationId} --wait`;
  return adviceFor(reason);
}
