import type { Socket } from '../socket.ts';
import { COMMANDS } from './commands.ts';
import { checkShape } from './arguments.ts';
import { isObject, type Json, type JsonObject, JsonStream } from './json.ts';
import type { Audience, Machine } from './machine.ts';
import { QmpError } from './qmp-error.ts';
import { pause, type Work } from './work.ts';

/** From the arrival of a command to its beginning. */
const DISPATCH_MS = 0.05;
/** Longer than anybody waits. */
const LATE_LEAST_MS = 500;
const LATE_MOST_MS = 90_000;
/** As many as wait in the queue of QEMU's socket; one more gets `EAGAIN`. */
const CLIENTS_WAITING_MAX = 2;

const VERSION = { qemu: { micro: 22, minor: 2, major: 7 }, package: 'simulated' };
const GREETING = { QMP: { version: VERSION, capabilities: ['oob'] } };

/** One `-qmp` socket: serves one client, lets two wait without a word. */
export class Monitor implements Audience {
  readonly #machine: Machine;
  /** The first one is served. */
  readonly #clients: Client[] = [];

  constructor(machine: Machine) {
    this.#machine = machine;
    machine.audience.add(this);
    machine.onDeath(() => {
      for (const { socket } of this.#clients) socket.die();
    });
  }

  /** False when the queue is full. */
  accept(socket: Socket): boolean {
    if (this.#clients.length > CLIENTS_WAITING_MAX) return false;
    const client = new Client(this.#machine, socket);
    this.#clients.push(client);
    socket.onClose(() => this.#left(client));
    if (this.#clients.length === 1) client.greet();
    return true;
  }

  hear(event: string, data: JsonObject | null): void {
    this.#clients[0]?.hear(event, data);
  }

  #left(client: Client): void {
    const at = this.#clients.indexOf(client);
    this.#clients.splice(at, 1);
    if (at === 0 && this.#machine.isAlive) this.#clients[0]?.greet();
  }
}

interface Request {
  readonly id: Json | undefined;
  readonly command: string;
  readonly args: JsonObject;
}

class Client implements Audience {
  readonly socket: Socket;
  readonly #machine: Machine;
  readonly #stream = new JsonStream();
  #isNegotiated = false;

  constructor(machine: Machine, socket: Socket) {
    this.#machine = machine;
    this.socket = socket;
  }

  /** Waits for the main loop, as everything does: what the client before has begun is over when this one is greeted. */
  greet(): void {
    this.#machine.enqueue('greeting', this.#pauseBeforeGreeting.bind(this), () => {
      this.#say(GREETING);
      this.socket.onText((text) => {
        for (const value of this.#stream.take(text)) this.#read(value);
      });
    });
  }

  *#pauseBeforeGreeting(): Work<void> {
    yield* pause(this.#machine.surroundings.chance, DISPATCH_MS, 'greets');
  }

  /** Nobody who has not negotiated hears of anything, and nothing is ever said twice. */
  hear(event: string, data: JsonObject | null): void {
    if (!this.#isNegotiated) return;
    const ms = this.#machine.surroundings.wallMs();
    const timestamp = { seconds: Math.floor(ms / 1000), microseconds: (ms % 1000) * 1000 };
    this.#say({ timestamp, event, ...(data && { data }) });
  }

  #read(text: string): void {
    const { faults, scheduler } = this.#machine.surroundings;
    if (faults.happens('connection-reset')) {
      scheduler.note('the connection is reset, the command was not read');
      return this.socket.close();
    }
    const request = requestOf(text);
    if (request instanceof QmpError) return this.#answer({ id: undefined, command: '' }, request);
    this.#machine.enqueue(
      request.command,
      () => this.#run(request),
      (result) => {
        if (result !== null) this.#answer(request, result);
      },
    );
  }

  /** Null when the client has left before its turn: QEMU drops what it had queued. */
  *#run({ command, args }: Request): Work<Json | QmpError | null> {
    const machine = this.#machine;
    yield* pause(machine.surroundings.chance, DISPATCH_MS, 'begins');
    if (!this.socket.isOpen) return null;
    yield* machine.stall();
    machine.letGuestRun();
    try {
      return yield* this.#execute(command, args);
    } catch (error) {
      if (error instanceof QmpError) return error;
      throw error;
    }
  }

  #execute(command: string, args: JsonObject): Work<Json> {
    if (command === 'qmp_capabilities') return this.#negotiate();
    if (!this.#isNegotiated) {
      throw new QmpError("Expecting capabilities negotiation with 'qmp_capabilities'", 'CommandNotFound');
    }
    const known = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined;
    if (!known) throw new QmpError(`The command ${command} has not been found`, 'CommandNotFound');
    checkShape(args, known.shape);
    if (command === 'query-block') this.#machine.isLookedAt = true;
    return known.run(this.#machine, args);
  }

  // oxlint-disable-next-line require-yield -- takes no time
  *#negotiate(): Work<Json> {
    if (this.#isNegotiated) {
      throw new QmpError('Capabilities negotiation is already complete, command ignored', 'CommandNotFound');
    }
    this.#isNegotiated = true;
    return {};
  }

  #answer({ id, command }: Pick<Request, 'id' | 'command'>, result: Json | QmpError): void {
    const { faults, chance, scheduler } = this.#machine.surroundings;
    const withId = id === undefined ? {} : { id };
    const reply =
      result instanceof QmpError
        ? { error: { class: result.errorClass, desc: result.message }, ...withId }
        : { return: result, ...withId };
    const struck = faults.answer(`say.${command}`);
    const isMigrating = this.#machine.migration?.status === 'active';
    const isLost = faults.happens(isMigrating ? 'reply-lost-in-migration' : 'reply-lost');
    if (struck === 'answer lost' || isLost) {
      scheduler.note('the reply is lost with the connection');
      return this.socket.close();
    }
    const isLate = struck === 'answer late' || faults.happens('reply-late');
    this.#say(reply, isLate ? chance.betweenLog(LATE_LEAST_MS, LATE_MOST_MS) : 0);
    if (struck === 'duplicate' || faults.happens('reply-twice')) this.#say(reply);
  }

  #say(message: JsonObject, delayMs = 0): void {
    this.socket.send(`${JSON.stringify(message)}\r\n`, delayMs);
  }
}

/** Reads one value; what is wrong with it is told without an id, for nobody can say whose it was. */
function requestOf(text: string): Request | QmpError {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return new QmpError(`JSON parse error, invalid keyword '${/[a-z]+/.exec(text)?.[0] ?? ''}'`);
  }
  if (!isObject(value)) return new QmpError('QMP input must be a JSON object');
  const { execute, arguments: args = {}, id, ...surplus } = value;
  const [unknown] = Object.keys(surplus);
  if (unknown !== undefined) return new QmpError(`QMP input member '${unknown}' is unexpected`);
  if (typeof execute !== 'string') return new QmpError("QMP input lacks member 'execute'");
  if (!isObject(args)) return new QmpError("QMP input member 'arguments' must be an object");
  return { id, command: execute, args };
}
