import type { Socket } from '../socket.ts';
import { isObject, type Json, JsonStream } from './json.ts';
import type { Machine } from './machine.ts';

/** What the byte before and after a delimited answer is on a stream of text. */
const SENTINEL = '\uFFFD';
const FILESYSTEMS = 2;

/** From a question to the guest's answer. */
const ANSWER_LEAST_MS = 0.5;
const ANSWER_MOST_MS = 400;
const SILENT_LEAST_MS = 4_000;
const SILENT_MOST_MS = 60_000;

/**
 * The guest agent behind its socket, which QEMU holds: whoever connects is served when the guest comes to it, and never
 * while it stands still.
 */
export class Agent {
  readonly #machine: Machine;
  #client: Socket | null = null;
  /** It does one thing after the other, whoever asked for it. */
  #busyUntilMs = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
    machine.onDeath(() => this.#client?.die());
  }

  /** One at a time. */
  accept(socket: Socket): boolean {
    if (this.#client?.isOpen) return false;
    this.#client = socket;
    const stream = new JsonStream();
    socket.onText((text) => {
      for (const question of stream.take(text.replaceAll(SENTINEL, ''))) this.#hear(socket, question);
    });
    return true;
  }

  #hear(socket: Socket, text: string): void {
    const { chance, faults, scheduler } = this.#machine.surroundings;
    const question: unknown = JSON.parse(text);
    if (!isObject(question)) return;
    if (faults.happens('agent-gone')) return socket.close();
    const { execute, arguments: args } = question;
    const struck = faults.answer(`say.${String(execute)}`);
    const ms =
      struck === 'answer late' || faults.happens('agent-silent')
        ? chance.betweenLog(SILENT_LEAST_MS, SILENT_MOST_MS)
        : chance.betweenLog(ANSWER_LEAST_MS, ANSWER_MOST_MS);
    this.#busyUntilMs = Math.max(this.#busyUntilMs, scheduler.nowMs) + ms;
    this.#machine.later(this.#busyUntilMs - scheduler.nowMs, `agent comes to ${String(execute)}`, () => {
      if (!this.#machine.isRunning) return;
      const isSync = execute === 'guest-sync-delimited';
      const answer = isSync && isObject(args) ? { return: args['id'] ?? 0 } : this.#answer(String(execute));
      if (struck === 'answer lost') return socket.close();
      const text = `${isSync ? SENTINEL : ''}${JSON.stringify(answer)}\n`;
      socket.send(struck === 'duplicate' ? text + text : text);
    });
  }

  #answer(command: string): Json {
    const { guest, surroundings } = this.#machine;
    const before = guest.isFrozen;
    if (command === 'guest-fsfreeze-status') return { return: before ? 'frozen' : 'thawed' };
    const isKnown = command === 'guest-fsfreeze-freeze' || command === 'guest-fsfreeze-thaw';
    if (!isKnown) return refused(`The command ${command} has not been found`);
    if (surroundings.faults.happens('agent-refuses')) return refused('failed to open /: Permission denied');
    guest.isFrozen = command === 'guest-fsfreeze-freeze';
    return { return: before === guest.isFrozen ? 0 : FILESYSTEMS };
  }
}

const refused = (desc: string): Json => ({ error: { class: 'GenericError', desc } });
