/* A guest agent for tests: what QEMU's own says on its socket, and every way in which it may fail to. */
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

/** How it answers a freeze. It freezes all the same unless it refuses: late, after long work, or without a word. */
export type Manner =
  | 'freezes'
  | 'refuses'
  | 'hangs'
  | 'is late'
  | 'is slow'
  | 'dies'
  | 'thaws by itself'
  | 'finds nothing';

export interface TestAgent {
  readonly path: string;
  manner: Manner;
  /** Nobody in the guest: connections are taken, nothing is ever said. */
  isSilent: boolean;
  /** Thaws come to nothing and are not answered. */
  isStuck: boolean;
  isFrozen: boolean;
  /** What it was asked, without the synchronising. */
  readonly asked: string[];
  /** Somebody starts it anew, inside the same guest. */
  revive(): Promise<void>;
  close(): Promise<void>;
}

const FILESYSTEMS = 2;
const SENTINEL = '\xff';
/** Later than anybody waits whose clock runs ten times as fast. */
const LATE_MS = 1_100;
/** Later than anybody tries to thaw. */
const SLOW_MS = 3_000;

/** What an agent that is at work will be asked next. */
const waiting = new WeakMap<TestAgent, (() => void)[]>();

const agents = new Set<TestAgent>();

export async function startAgent(path: string): Promise<TestAgent> {
  let server = await listening(path, (socket) => serve(agent, socket));
  const agent: TestAgent = {
    path,
    manner: 'freezes',
    isSilent: false,
    isStuck: false,
    isFrozen: false,
    asked: [],
    async revive() {
      await agent.close();
      server = await listening(path, (socket) => serve(agent, socket));
      agents.add(agent);
    },
    async close() {
      agents.delete(agent);
      for (const socket of sockets.get(server) ?? []) socket.destroy();
      server.close();
      rmSync(path, { force: true });
    },
  };
  agents.add(agent);
  return agent;
}

export async function closeAgents(): Promise<void> {
  await Promise.all([...agents].map((agent) => agent.close()));
}

const sockets = new WeakMap<Server, Set<Socket>>();

async function listening(path: string, take: (socket: Socket) => void): Promise<Server> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
    take(socket);
  });
  sockets.set(server, open);
  server.listen(path);
  await once(server, 'listening');
  return server;
}

interface Question {
  readonly execute: string;
  readonly arguments?: { readonly id: number };
}

/** Every answer is one line. Before whoever comes now, somebody else has left an answer that he did not wait for. */
function serve(agent: TestAgent, socket: Socket): void {
  let heard = '';
  let isHeard = false; // Whoever was here before may have left half a question: only the sentinel ends it.
  socket.write('{"return": "thawed"}\n{"retu');
  socket.setEncoding('latin1').on('data', (text: string) => {
    heard += text;
    for (let end = heard.indexOf('\n'); end >= 0; end = heard.indexOf('\n')) {
      const line = heard.slice(0, end);
      heard = heard.slice(end + 1);
      if (line.startsWith(SENTINEL)) answer(agent, socket, JSON.parse(line.slice(1)) as Question);
      else if (isHeard) answer(agent, socket, JSON.parse(line) as Question);
      isHeard ||= line.startsWith(SENTINEL);
    }
  });
}

function answer(agent: TestAgent, socket: Socket, { execute, arguments: args }: Question): void {
  if (agent.isSilent) return;
  const asksBefore = waiting.get(agent);
  if (asksBefore)
    return void asksBefore.push(() => answer(agent, socket, { execute, ...(args && { arguments: args }) }));
  const say = (what: object): void => void socket.write(`${JSON.stringify(what)}\n`);
  if (execute === 'guest-sync-delimited') {
    socket.write(Uint8Array.of(0xff));
    return say({ return: args?.id });
  }
  agent.asked.push(execute.replace('guest-fsfreeze-', ''));
  if (execute === 'guest-fsfreeze-status') return say({ return: agent.isFrozen ? 'frozen' : 'thawed' });
  if (execute === 'guest-fsfreeze-freeze') return freeze(agent, say);
  if (execute !== 'guest-fsfreeze-thaw') return say({ error: { class: 'CommandNotFound', desc: execute } });
  if (agent.isStuck) return;
  const count = agent.isFrozen ? FILESYSTEMS : 0;
  agent.isFrozen = false;
  say({ return: count });
}

function freeze(agent: TestAgent, say: (what: object) => void): void {
  switch (agent.manner) {
    case 'refuses':
      return say({ error: { class: 'GenericError', desc: 'failed to freeze /: Operation not supported' } });
    case 'finds nothing':
      return say({ return: 0 });
    case 'dies':
      agent.isFrozen = true;
      void agent.close();
      return;
    case 'hangs':
      agent.isFrozen = true;
      return;
    case 'is late':
      agent.isFrozen = true;
      setTimeout(() => say({ return: FILESYSTEMS }), LATE_MS).unref();
      return;
    case 'is slow': {
      const asked: (() => void)[] = [];
      waiting.set(agent, asked);
      setTimeout(() => {
        agent.isFrozen = true;
        waiting.delete(agent);
        for (const ask of asked) ask();
      }, SLOW_MS).unref();
      return;
    }
    case 'thaws by itself':
      agent.isFrozen = true;
      say({ return: FILESYSTEMS });
      agent.isFrozen = false;
      return;
    case 'freezes':
      agent.isFrozen = true;
      return say({ return: FILESYSTEMS });
  }
}
