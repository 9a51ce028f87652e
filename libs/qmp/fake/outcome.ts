import { MonitorTrouble, QmpRefused, QmpUnknown } from '../trouble.ts';

/** How it went, in one line for tests: `done {}`, `refused: words`, `unknown: timeout`, `nothing sent: closed`. */
export async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    return `done ${JSON.stringify(await work)}`;
  } catch (error) {
    if (error instanceof QmpRefused) return `refused: ${error.description}`;
    if (error instanceof QmpUnknown) return `unknown: ${error.cause}`;
    if (error instanceof MonitorTrouble) return `nothing sent: ${error.kind}`;
    throw error;
  }
}
