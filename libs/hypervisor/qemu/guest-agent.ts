import { Refusal } from '#ledger';
import { type Connection, ConnectTrouble, type World } from '#world';
import { z } from 'zod';
import { AGENT_TIMEOUT_MS } from '../bounds.ts';
import { requireAgentPath } from './paths.ts';

/*
 * QEMU's guest agent: a program in the guest, spoken to over a unix socket in JSON lines. QEMU holds the socket, so
 * somebody listens there even while nobody in the guest does; and an answer may be to a question of somebody who has
 * long hung up. Hence each talk begins with a number that the agent has to say again (QEMU's qga/qapi-schema.json).
 */

/**
 * - `missing`: nobody listens, and nothing was said.
 * - `refused`: the agent said no.
 * - `silent`: said, and not answered in time. It may still be done, any time later.
 * - `gone`: said, and the socket was closed before the answer.
 */
export type AgentTroubleKind = 'missing' | 'refused' | 'silent' | 'gone';

/** The guest agent did not simply do it. */
export class AgentTrouble extends Error {
  override readonly name = 'AgentTrouble';
  readonly kind: AgentTroubleKind;
  constructor(kind: AgentTroubleKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Where an agent is to be found, and what finding it needs. */
export interface AgentAt {
  readonly world: Pick<World, 'clock' | 'connect' | 'random' | 'files'>;
  /** Directories that its socket may lie in. */
  readonly roots: readonly string[];
  readonly path: string;
}

/** What this product asks of an agent. */
export type AgentCommand = 'guest-fsfreeze-status' | 'guest-fsfreeze-freeze' | 'guest-fsfreeze-thaw';

/** No byte of UTF-8: the agent drops the half question that somebody may have left behind. */
const SENTINEL = Uint8Array.of(0xff);
/** What the same byte before the agent's answer has become on its way through our decoder. */
const SENTINEL_SEEN = '\uFFFD';
const SYNC_ID_MAX = 2 ** 31;
/** More than any answer here has. */
const ANSWER_CHARACTERS_MAX = 65_536;

const Answer = z.union([
  z.object({ error: z.object({ desc: z.string() }) }),
  z.object({ return: z.unknown() }),
]);

/**
 * Whether the guest's file systems are frozen now, by whomever.
 *
 * @throws {AgentTrouble}
 */
export async function areFrozen(at: AgentAt): Promise<boolean> {
  return (await ask(at, 'guest-fsfreeze-status', AGENT_TIMEOUT_MS)) === 'frozen';
}

/**
 * How many file systems the agent says it has frozen or thawed.
 *
 * @throws {AgentTrouble}
 */
export async function countOfAsked(at: AgentAt, command: AgentCommand, timeoutMs: number): Promise<number> {
  const count = await ask(at, command, timeoutMs);
  if (typeof count === 'number') return count;
  throw new AgentTrouble('refused', `the guest agent answered ${command} with ${JSON.stringify(count)}`);
}

async function ask(at: AgentAt, command: AgentCommand, timeoutMs: number): Promise<unknown> {
  const { world } = at;
  const talk = new Talk(await connected(at), world.clock);
  try {
    const id = Math.floor(world.random.next() * SYNC_ID_MAX);
    // An agent that is still busy freezing says nothing. It reads on when it has frozen, and must find this then.
    const ahead = command === 'guest-fsfreeze-thaw';
    talk.sayAll([synchronising(id), ...(ahead ? [asking(command)] : [])]);
    await talk.synchronised(id);
    if (!ahead) talk.sayAll([asking(command)]);
    return await talk.answerTo(command, timeoutMs);
  } finally {
    talk.end();
  }
}

async function connected({ world, roots, path }: AgentAt): Promise<Connection> {
  try {
    return await world.connect(await requireAgentPath(world.files, roots, path));
  } catch (error) {
    if (!(error instanceof ConnectTrouble || error instanceof Refusal)) throw error;
    throw new AgentTrouble('missing', `no guest agent listens at ${path}: ${error.message}`);
  }
}

interface Question {
  readonly execute: string;
  readonly arguments?: { readonly id: number };
  /** Goes before it. */
  readonly sentinel?: Uint8Array;
}

const asking = (execute: AgentCommand): Question => ({ execute });

const synchronising = (id: number): Question => ({
  ...{ execute: 'guest-sync-delimited', arguments: { id } },
  sentinel: SENTINEL,
});

/** One conversation, question by question. */
class Talk {
  readonly #connection: Connection;
  readonly #clock: World['clock'];
  #heard = '';
  #isClosed = false;
  /** Ends the present wait for more. */
  #stirred = new AbortController();

  constructor(connection: Connection, clock: World['clock']) {
    this.#connection = connection;
    this.#clock = clock;
    connection.onText((text) => {
      this.#heard = (this.#heard + text).slice(-ANSWER_CHARACTERS_MAX);
      this.#stirred.abort();
    });
    connection.onClose(() => {
      this.#isClosed = true;
      this.#stirred.abort();
    });
  }

  sayAll(questions: readonly Question[]): void {
    for (const { sentinel, ...question } of questions) {
      if (sentinel) this.#connection.write(sentinel);
      this.#connection.write(`${JSON.stringify(question)}\n`);
    }
  }

  /** Throws away whatever was said before. */
  async synchronised(id: number): Promise<void> {
    const until = this.#clock.monotonic() + AGENT_TIMEOUT_MS;
    for (;;) {
      const line = await this.#line(until, 'guest-sync-delimited');
      const answer = parsed(line.slice(line.lastIndexOf(SENTINEL_SEEN) + 1));
      if (answer && 'return' in answer && answer.return === id) return;
    }
  }

  async answerTo(command: AgentCommand, timeoutMs: number): Promise<unknown> {
    const answer = parsed(await this.#line(this.#clock.monotonic() + timeoutMs, command));
    if (!answer)
      throw new AgentTrouble('refused', `the guest agent did not answer ${command} in its language`);
    if ('error' in answer) throw new AgentTrouble('refused', `${command}: ${answer.error.desc}`);
    return answer.return;
  }

  end(): void {
    this.#connection.close();
  }

  /** The next line that is not empty. */
  async #line(until: number, command: string): Promise<string> {
    for (;;) {
      const end = this.#heard.indexOf('\n');
      if (end >= 0) {
        const line = this.#heard.slice(0, end).trim();
        this.#heard = this.#heard.slice(end + 1);
        if (line !== '') return line;
        continue;
      }
      if (this.#isClosed) throw new AgentTrouble('gone', `the guest agent hung up at ${command}`);
      const leftMs = until - this.#clock.monotonic();
      if (leftMs <= 0) throw new AgentTrouble('silent', `the guest agent did not answer ${command} in time`);
      this.#stirred = new AbortController();
      await this.#clock.sleep(leftMs, this.#stirred.signal);
    }
  }
}

function parsed(line: string): z.infer<typeof Answer> | null {
  try {
    return Answer.parse(JSON.parse(line));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return null; // Half a line of an older talk.
    throw error;
  }
}
