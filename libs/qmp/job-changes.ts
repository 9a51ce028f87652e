import type { Clock } from '#world';
import type { QmpEvent, QmpListener } from './monitor.ts';

/** How long an event that never comes can hold us up. */
export const JOB_POLL_MS = 200;

/** What is told of block jobs when they end, before their status changes: alone it tells how. */
const ENDS: readonly string[] = ['BLOCK_JOB_COMPLETED', 'BLOCK_JOB_CANCELLED'];

/** QEMU's words for a job that was told to end. */
const CANCELED = 'Operation canceled';

/** Whether a job's error says that somebody has told it to end. */
export const isCanceled = (error: string): boolean => error.toLowerCase() === CANCELED.toLowerCase();

/** How a job ended. */
export interface JobEnd {
  /** Why it failed, in QEMU's words; null when it did not. */
  readonly error: string | null;
}

/** What QEMU tells of one job, from the moment this is made until it is closed. */
export class JobChanges {
  readonly #id: string;
  readonly #clock: Clock;
  readonly #events: QmpListener;
  #end: JobEnd | null = null;

  constructor(id: string, clock: Clock, listen: (names: readonly string[]) => QmpListener) {
    this.#id = id;
    this.#clock = clock;
    this.#events = listen(['JOB_STATUS_CHANGE', ...ENDS]);
  }

  /** Waits until the job tells that it stands in one of these ways, or for as long as we trust events to come. */
  async until(statuses: readonly string[]): Promise<void> {
    const deadline = this.#clock.monotonic() + JOB_POLL_MS;
    for (let leftMs = JOB_POLL_MS; leftMs > 0; leftMs = deadline - this.#clock.monotonic()) {
      const event = await this.#events.next(leftMs);
      if (!event) return;
      const status = this.#statusIn(event);
      if (status !== null && statuses.includes(status)) return;
    }
  }

  /** How a job ended that QEMU has just not listed any more; null when that was not told. */
  ended(): JobEnd | null {
    for (let event = this.#events.heard(); event; event = this.#events.heard()) this.#statusIn(event);
    return this.#end;
  }

  close(): void {
    this.#events.close();
  }

  #statusIn({ name, data }: QmpEvent): string | null {
    if (name !== 'JOB_STATUS_CHANGE') {
      if (data['device'] === this.#id) this.#end = { error: errorIn(name, data) };
      return null;
    }
    const { id, status } = data;
    return id === this.#id && typeof status === 'string' ? status : null;
  }
}

function errorIn(name: string, { error }: QmpEvent['data']): string | null {
  if (name === 'BLOCK_JOB_CANCELLED') return CANCELED;
  return typeof error === 'string' ? error : null;
}
