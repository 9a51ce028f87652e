import type { World } from '#world';
import { NoAnswer, type HttpAnswer, type Method } from './http.ts';
import { ownTrouble, readObject, readProblem, Trouble } from './problem.ts';
import type { Surroundings } from './surroundings.ts';

/** A connection that says nothing for so long is taken for lost. */
const SILENCE_MAX_MS = 15_000;
/** The same for a stream that waits for what happens next: ledgerd says every 15 s that it is still there. */
const WATCH_SILENCE_MAX_MS = 60_000;
/** How often one question is sent when its answers get lost, and how long we wait in between. */
const ATTEMPTS_MAX = 5;
const PAUSE_FIRST_MS = 200;
/** A longer answer is not one of ledgerd. Events are read line by line and know no such bound. */
const ANSWER_CHARACTERS_MAX = 64 * 1024 * 1024;

export type Query = Readonly<Record<string, string | undefined>>;

/** An answer whose body is a JSON object of the kind that was asked for. */
export interface Answer<T> {
  readonly body: T;
  /** Exactly what arrived; '' when the answer has no body. */
  readonly text: string;
  /** The version of the stream behind it, without quotes; '' when it has none. */
  readonly version: string;
}

/** What guards a command, from the command line. */
export interface Guards {
  /** Idempotency key; one is made up when absent. */
  readonly key?: string;
  /** Version that the stream must be at. */
  readonly ifMatch?: string;
}

export interface CommandRequest extends Guards {
  readonly method: Exclude<Method, 'GET'>;
  readonly path: string;
  readonly query?: Query;
  readonly body?: object;
}

export interface StreamRequest {
  readonly path: string;
  readonly query?: Query;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether long silence is normal, as on a stream that waits for what happens next. */
  readonly maySleep: boolean;
}

export interface ApiOptions {
  /** Without a slash at the end. */
  readonly url: string;
  readonly token: string | null;
}

/** ledgerd as seen from here. Everything it refuses is thrown as a `Trouble` with its problem. */
export interface Api {
  readonly url: string;
  /** Reads one thing. `mark` names a member that every such thing has: what lacks it did not come from ledgerd. */
  get<T extends object>(path: string, mark: keyof T & string, query?: Query): Promise<Answer<T>>;
  /** Text as it arrives, for what has no end. A negative answer is thrown before the first piece. */
  stream(request: StreamRequest): Promise<HttpAnswer>;
  /**
   * Asks for a change. A lost answer is asked for again under the same key, which does nothing twice; when none
   * arrives in the end, the outcome is unknown and said to be so.
   */
  command<T extends object>(request: CommandRequest, mark: keyof T & string): Promise<Answer<T>>;
  /** A command whose answer may be empty. */
  order(request: CommandRequest): Promise<string>;
}

/** The path of a resource. Ids are encoded: what ledgerd or a person calls one can never reach another route. */
export const route = (...pieces: readonly string[]): string =>
  `/v1/${pieces.map((piece) => encodeURIComponent(piece)).join('/')}`;

/** A client of one ledgerd. Nothing is sent before the first question. */
export function openApi(options: ApiOptions, around: Surroundings): Api {
  return {
    url: options.url,
    async get<T extends object>(path: string, mark: keyof T & string, query: Query = {}) {
      return answered<T>(options, mark, await ask(options, around, { method: 'GET', path, query }));
    },
    stream: (request) => openStream(options, around, request),
    async command<T extends object>(request: CommandRequest, mark: keyof T & string) {
      return answered<T>(options, mark, await askOnce(options, around, request));
    },
    order: async (request) => (await askOnce(options, around, request)).text,
  };
}

interface Question {
  readonly method: Method;
  readonly path: string;
  readonly query?: Query | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object | undefined;
}

interface Received {
  readonly status: number;
  readonly text: string;
  readonly version: string;
}

/** Sends a command under a key, so that sending it again is harmless. */
async function askOnce(
  options: ApiOptions,
  around: Surroundings,
  request: CommandRequest,
): Promise<Received> {
  const { method, path, query, body, ifMatch } = request;
  const key = request.key ?? (await around.world()).ids.uuid();
  const headers = {
    'idempotency-key': key,
    ...(ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` }),
  };
  try {
    return await ask(options, around, { method, path, query, headers, body });
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    throw ownTrouble('outcome-unknown', `the answer of ${options.url} was lost: ${error.message}`, {
      next: `ledgerctl history VM tells whether it was done; the same command with --key ${key} does nothing twice`,
    });
  }
}

/**
 * Asks until an answer arrives, at most `ATTEMPTS_MAX` times. What ledgerd refuses is thrown as `Trouble`, and so is
 * that nobody is there. Throws `NoAnswer` when a command may have arrived and its answer did not.
 */
async function ask(options: ApiOptions, around: Surroundings, question: Question): Promise<Received> {
  let lost: NoAnswer | null = null;
  for (let attempt = 1; ; attempt += 1) {
    const got = await exchange(options, around, question, lost !== null);
    if (!(got instanceof NoAnswer)) return accepted(options, got);
    // The first try never arrived: nobody is there, and waiting will not change that.
    if (!got.wasSent && !lost) throw notReached(options, around, got);
    lost = got;
    if (attempt === ATTEMPTS_MAX || around.interrupted.aborted) {
      throw question.method === 'GET' ? notReached(options, around, got) : got;
    }
    await pause(await around.world(), attempt, around.interrupted);
  }
}

/** Doubles from one attempt to the next. Ends at once when `signal` aborts. */
export const pause = (world: World, attempt: number, signal: AbortSignal): Promise<void> =>
  world.clock.sleep(PAUSE_FIRST_MS * 2 ** (attempt - 1), signal);

/**
 * One question and its whole answer. A proxy that lost its connection to ledgerd knows no more than we do; and once
 * an answer was lost, a "not now" of ledgerd says nothing about what became of the first try.
 */
async function exchange(
  options: ApiOptions,
  around: Surroundings,
  question: Question,
  wasLost: boolean,
): Promise<Received | NoAnswer> {
  try {
    const answer = await send(options, around, question, SILENCE_MAX_MS);
    const { status } = answer;
    const isNoVerdict = status === 502 || status === 504 || (status === 503 && wasLost);
    if (isNoVerdict) return new NoAnswer(`it answered ${status}`, true);
    return { status, text: await wholeText(options, answer), version: versionOf(answer) };
  } catch (error) {
    if (error instanceof NoAnswer) return error;
    throw error;
  }
}

function send(
  { url, token }: ApiOptions,
  around: Surroundings,
  { method, path, query = {}, headers = {}, body }: Question,
  silenceMaxMs: number,
): Promise<HttpAnswer> {
  const asked = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) asked.append(key, value);
  return around.http({
    method,
    url: `${url}${path}${asked.size > 0 ? `?${asked}` : ''}`,
    headers: {
      'user-agent': `ledgerctl/${around.version}`,
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    silenceMaxMs,
    signal: around.interrupted,
  });
}

async function openStream(
  options: ApiOptions,
  around: Surroundings,
  { maySleep, ...question }: StreamRequest,
): Promise<HttpAnswer> {
  const answer = await send(
    options,
    around,
    { ...question, method: 'GET' },
    maySleep ? WATCH_SILENCE_MAX_MS : SILENCE_MAX_MS,
  );
  if (answer.status === 200) return answer;
  throw refused(options, { status: answer.status, text: await wholeText(options, answer), version: '' });
}

async function wholeText({ url }: ApiOptions, answer: HttpAnswer): Promise<string> {
  const pieces: string[] = [];
  let size = 0;
  for await (const piece of answer.body) {
    pieces.push(piece);
    size += piece.length;
    if (size > ANSWER_CHARACTERS_MAX) throw ownTrouble('not-ledgerd', `the answer of ${url} has no end`);
  }
  return pieces.join('');
}

const versionOf = (answer: HttpAnswer): string => /^"(.*)"$/.exec(answer.header('etag'))?.[1] ?? '';

function accepted(options: ApiOptions, received: Received): Received {
  if (received.status >= 200 && received.status < 300) return received;
  throw refused(options, received);
}

function refused({ url }: ApiOptions, { status, text }: Received): Trouble {
  const problem = readProblem(text, status);
  if (problem) return new Trouble(problem, { text });
  return ownTrouble('not-ledgerd', `${url} answered ${status} without a reason, as ledgerd never does`);
}

function notReached({ url }: ApiOptions, { interrupted }: Surroundings, error: NoAnswer): Trouble {
  if (interrupted.aborted) return ownTrouble('interrupted', 'stopped before an answer came');
  return ownTrouble('cannot-connect', `${url} does not answer: ${error.message}`);
}

function answered<T extends object>({ url }: ApiOptions, mark: string, received: Received): Answer<T> {
  const body = readObject(received.text);
  if (!body || !Object.hasOwn(body, mark)) {
    throw ownTrouble('not-ledgerd', `the answer of ${url} has no "${mark}", as every answer of ledgerd has`);
  }
  return { body: body as T, text: received.text, version: received.version };
}
