import { ConnectTrouble, type ConnectCode, type Connection, type World } from '#world';
import type { Monitor, OpenOptions } from './monitor.ts';
import { GREETING_TIMEOUT_MS, Session } from './session.ts';
import { MonitorTrouble, type MonitorTroubleKind, QmpRefused, QmpUnknown } from './trouble.ts';

/** QEMU's own queue is full (`EAGAIN`) when others wait for the monitor already. */
const KINDS: Readonly<Record<ConnectCode, MonitorTroubleKind>> = {
  ENOENT: 'off',
  ECONNREFUSED: 'off',
  EAGAIN: 'occupied',
  EACCES: 'not-a-monitor',
  ENOTSOCK: 'not-a-monitor',
  other: 'not-a-monitor',
};

/**
 * Connects to the QMP socket at `path`, waits for the greeting and negotiates. Throws `MonitorTrouble`.
 * Linux calls connecting to something that is no socket `ECONNREFUSED`, so that is `off` too: look at the path
 * first to tell the two apart.
 */
export async function openMonitor(
  world: Pick<World, 'clock' | 'connect'>,
  path: string,
  options: OpenOptions = {},
): Promise<Monitor> {
  const timeoutMs = options.greetingTimeoutMs ?? GREETING_TIMEOUT_MS;
  const session = new Session(world.clock, await connectTo(world, path), options);
  try {
    await session.greeted;
    await session.execute('qmp_capabilities', {}, { timeoutMs });
    return session;
  } catch (error) {
    session.close();
    throw troubleWith(session, path, error);
  }
}

async function connectTo(world: Pick<World, 'connect'>, path: string): Promise<Connection> {
  try {
    return await world.connect(path);
  } catch (error) {
    if (error instanceof ConnectTrouble) throw new MonitorTrouble(KINDS[error.code], error.message);
    throw error;
  }
}

/** Whatever went wrong before the session was negotiated, nothing that matters was sent. */
function troubleWith(session: Session, path: string, error: unknown): unknown {
  if (session.fault !== null)
    return new MonitorTrouble('not-a-monitor', `${path} does not speak QMP: ${session.fault}`);
  if (error instanceof QmpRefused)
    return new MonitorTrouble('not-a-monitor', `${path} refused: ${error.message}`);
  if (!(error instanceof QmpUnknown)) return error;
  if (error.cause === 'timeout')
    return new MonitorTrouble('occupied', `${path} did not greet: someone else may use it`);
  return new MonitorTrouble('closed', `${path} closed the connection before the session was negotiated`);
}
