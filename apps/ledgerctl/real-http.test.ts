import { afterEach, expect, test } from 'vitest';
import { fakeLedgerd, type FakeLedgerd, type Route } from '../../test/ledgerctl/fake-ledgerd.ts';
import { NoAnswer, type HttpAnswer } from './http.ts';
import { realHttp } from './real-http.ts';

const SILENCE_MAX_MS = 100;

let ledgerd: FakeLedgerd | null = null;
afterEach(async () => {
  await ledgerd?.close();
  ledgerd = null;
});

async function reading(answer: Promise<HttpAnswer>): Promise<string | NoAnswer> {
  try {
    let text = '';
    for await (const piece of (await answer).body) text += piece;
    return text;
  } catch (error) {
    if (error instanceof NoAnswer) return error;
    throw error;
  }
}

/** Asks twice over one agent, so that the second question goes over a connection that is open already. */
async function twice(route: Route, signal = new AbortController().signal): Promise<(string | NoAnswer)[]> {
  ledgerd = await fakeLedgerd({ 'GET /first': { body: 'first' }, 'GET /second': route });
  const http = realHttp();
  const get = (path: string) =>
    http({ method: 'GET', url: `${ledgerd?.url}${path}`, headers: {}, silenceMaxMs: SILENCE_MAX_MS, signal });
  return [await reading(get('/first')), await reading(get('/second'))];
}

test('an answer is read as it arrives', async () => {
  expect(await twice({ body: 'zweite Antwort: ü🦆' })).toEqual(['first', 'zweite Antwort: ü🦆']);
});

test.each(['lost', 'torn', 'silent'] as const)(
  'after an answer that is %s nobody knows what became of the question',
  async (how) => {
    const [, second] = await twice(how);
    expect(second).toMatchObject({ name: 'NoAnswer', wasSent: true });
  },
);

test('where nobody listens nothing was sent', async () => {
  const gone = await fakeLedgerd({});
  await gone.close();
  const { signal } = new AbortController();
  const asked = realHttp()({
    method: 'GET',
    url: gone.url,
    headers: {},
    silenceMaxMs: SILENCE_MAX_MS,
    signal,
  });
  expect(await reading(asked)).toMatchObject({ name: 'NoAnswer', wasSent: false });
});

test('whoever is stopped stops asking', async () => {
  const stop = new AbortController();
  const asked = twice('silent', stop.signal);
  stop.abort();
  expect(await asked).toEqual([expect.any(NoAnswer), expect.any(NoAnswer)]);
});
