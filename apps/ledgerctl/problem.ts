import { EXIT, type ExitCode } from './exit.ts';
import { safeJson } from './screen.ts';

/** What ledgerctl itself has to complain of, beside the reasons of the ledger. */
export type OwnReason =
  | 'usage'
  | 'cannot-connect'
  | 'not-ledgerd'
  | 'outcome-unknown'
  | 'interrupted'
  | 'data-in-use'
  | 'data-unusable'
  | 'unexpected';

/** RFC 9457, as ledgerd answers it. Problems of our own have the same shape. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  /** 0 when no answer of ledgerd stands behind it. */
  readonly status: number;
  readonly detail: string;
  readonly reason: string;
  readonly retryable: boolean;
  /** The operation that is in the way, or whose outcome is in question. */
  readonly operationId?: string;
}

/** Ends a command. What is printed and the exit code follow from the problem. */
export class Trouble extends Error {
  override readonly name = 'Trouble';
  readonly problem: Problem;
  /** The problem exactly as it arrived; null for one of our own. */
  readonly text: string | null;
  /** What the person can do next; '' when it follows from the reason. */
  readonly next: string;
  constructor(problem: Problem, { text = null, next = '' }: { text?: string | null; next?: string } = {}) {
    super(problem.detail);
    this.problem = problem;
    this.text = text;
    this.next = next;
  }
}

/** The problem as scripts read it. */
export const problemJson = ({ problem, text }: Trouble): string =>
  `${safeJson(text?.trimEnd() ?? JSON.stringify(problem))}\n`;

const TITLES: Readonly<Record<OwnReason, string>> = {
  usage: 'The command line makes no sense',
  'cannot-connect': 'ledgerd cannot be reached',
  'not-ledgerd': 'This is not ledgerd',
  'outcome-unknown': 'Nobody knows what became of it',
  interrupted: 'Interrupted',
  'data-in-use': 'The data directory is in use',
  'data-unusable': 'The data cannot be used',
  unexpected: 'Something unexpected happened',
};

/** A trouble that ledgerctl found by itself. */
export function ownTrouble(
  reason: OwnReason,
  detail: string,
  { next = '', operationId }: { next?: string; operationId?: string } = {},
): Trouble {
  const problem = {
    type: 'about:blank',
    title: TITLES[reason],
    status: 0,
    detail,
    reason,
    retryable: reason === 'data-in-use',
  };
  return new Trouble(operationId === undefined ? problem : { ...problem, operationId }, { next });
}

/** A name that stands for nothing, in the words in which ledgerd says that an id does. */
export const unknownName = (reason: 'vm-unknown' | 'snapshot-unknown', detail: string): Trouble =>
  new Trouble({ type: 'about:blank', title: 'Not found', status: 404, detail, reason, retryable: false });

/** The exit code that tells a script what kind of trouble it is. */
export function exitCodeOf({ reason, status, retryable }: Problem): ExitCode {
  if (reason === 'usage') return EXIT.usage;
  if (reason === 'outcome-unknown') return EXIT.unknown;
  if (retryable) return EXIT.busy;
  const isRefusal = (status >= 400 && status < 500) || reason === 'no-space';
  return isRefusal ? EXIT.refused : EXIT.error;
}

/** The problem that a body holds; null when it holds none. */
export function readProblem(text: string, status: number): Problem | null {
  const body = readObject(text);
  if (!body || typeof body['reason'] !== 'string') return null;
  const word = (key: string): string => (typeof body[key] === 'string' ? body[key] : '');
  const operationId = word('operationId');
  return {
    type: word('type'),
    title: word('title'),
    status,
    detail: word('detail'),
    reason: word('reason'),
    retryable: body['retryable'] === true,
    ...(operationId === '' ? {} : { operationId }),
  };
}

/** The JSON object that a text holds; null when it holds anything else. */
export function readObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
