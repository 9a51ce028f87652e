import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { EventStore } from '#event-store';
import type { Clock } from '#world';

/** Seconds. A durable answer takes a few milliseconds; the rest of the scale is for the day it does not. */
const ANSWER_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const OPERATION_BUCKETS_S = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600];

/** What an operator would alarm on. No label ever names a VM: their number has no bound. */
export interface Metrics {
  /** `outcome`: recorded, unchanged, replayed, or the reason of the refusal. */
  commandAnswered(type: string, outcome: string): void;
  httpAnswered(method: string, route: string, status: number, durationMs: number): void;
  appended(outcome: 'ok' | 'failed', durationMs: number): void;
  /** `durationMs` null when its beginning was not seen by this process. */
  operationEnded(kind: string, outcome: string, reason: string, durationMs: number | null): void;
  /** Called at each scrape, to tell what is so at that moment. */
  onScrape(look: () => Promise<Moment>): void;
  /** In the text format of Prometheus. */
  text(): Promise<string>;
  readonly contentType: string;
}

/** What is so at one moment. */
export interface Moment {
  readonly openOperations: number;
  readonly heldVms: number;
  readonly overdueVms: number;
  /** How long a reader would have to wait for what is already acknowledged. */
  readonly viewsLagMs: number;
  readonly isReady: boolean;
  readonly watchers: number;
}

/** Counts in a registry of its own: two daemons in one process share no number. */
export function openMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const commands = new Counter({
    name: 'snapledger_commands_total',
    help: 'Commands answered, by type and outcome (recorded, unchanged, replayed or the reason of a refusal)',
    labelNames: ['type', 'outcome'],
    registers,
  });
  const http = new Histogram({
    name: 'snapledger_http_request_duration_seconds',
    help: 'Time from the request to the end of its answer',
    labelNames: ['method', 'route', 'status'],
    buckets: ANSWER_BUCKETS_S,
    registers,
  });
  const appends = new Histogram({
    name: 'snapledger_store_append_duration_seconds',
    help: 'Time until an append was on disk, or failed',
    labelNames: ['outcome'],
    buckets: ANSWER_BUCKETS_S,
    registers,
  });
  const operations = new Counter({
    name: 'snapledger_operations_total',
    help: 'Operations ended, by kind, outcome (succeeded, failed, needs-operator) and reason',
    labelNames: ['kind', 'outcome', 'reason'],
    registers,
  });
  const operationTimes = new Histogram({
    name: 'snapledger_operation_duration_seconds',
    help: 'Time from the request to the terminal event',
    labelNames: ['kind', 'outcome'],
    buckets: OPERATION_BUCKETS_S,
    registers,
  });
  const moments = gauges(registry);
  let look: (() => Promise<Moment>) | null = null;
  return {
    contentType: registry.contentType,
    commandAnswered: (type, outcome) => commands.inc({ type, outcome }),
    httpAnswered: (method, route, status, durationMs) =>
      http.observe({ method, route, status: String(status) }, durationMs / 1000),
    appended: (outcome, durationMs) => appends.observe({ outcome }, durationMs / 1000),
    operationEnded: (kind, outcome, reason, durationMs) => {
      operations.inc({ kind, outcome, reason });
      if (durationMs !== null) operationTimes.observe({ kind, outcome }, durationMs / 1000);
    },
    onScrape: (asked) => {
      look = asked;
    },
    text: async () => {
      if (look) moments(await look());
      return registry.metrics();
    },
  };
}

function gauges(registry: Registry): (moment: Moment) => void {
  const gauge = (name: string, help: string): Gauge => new Gauge({ name, help, registers: [registry] });
  const open = gauge('snapledger_operations_open', 'Operations that have not ended');
  const held = gauge('snapledger_vms_held', 'VMs that wait for an operator');
  const overdue = gauge('snapledger_vms_overdue', 'VMs whose operation is past its deadline and not ended');
  const lag = gauge(
    'snapledger_views_lag_seconds',
    'How long a reader waits for what is already acknowledged',
  );
  const ready = gauge('snapledger_ready', '1 when commands are accepted');
  const watchers = gauge('snapledger_watchers', 'Clients that follow the log over HTTP');
  return (moment) => {
    open.set(moment.openOperations);
    held.set(moment.heldVms);
    overdue.set(moment.overdueVms);
    lag.set(moment.viewsLagMs / 1000);
    ready.set(moment.isReady ? 1 : 0);
    watchers.set(moment.watchers);
  };
}

/** The same store, but every append is timed. */
export function timed(store: EventStore, clock: Clock, metrics: Metrics): EventStore {
  const append: EventStore['append'] = async (stream, expectedVersion, events) => {
    const startedAt = clock.monotonic();
    try {
      const positions = await store.append(stream, expectedVersion, events);
      metrics.appended('ok', clock.monotonic() - startedAt);
      return positions;
    } catch (error) {
      metrics.appended('failed', clock.monotonic() - startedAt);
      throw error;
    }
  };
  return {
    get isShared() {
      return store.isShared;
    },
    append,
    read: (stream, fromVersion, eventsMax) => store.read(stream, fromVersion, eventsMax),
    since: (position, signal) => store.since(position, signal),
    head: () => store.head(),
    close: () => store.close(),
  };
}
