/* One random walk: everything is asked of the product and of the model, and both must agree after every step. */
import { Chance } from '../simulation/chance.ts';
import { audited, soundness } from './agreement.ts';
import { drawOperation, drawWrite, endsOf, type Operation } from './operations.ts';
import { SideBySide } from './side-by-side.ts';
import { kindOf, wordsOf } from './words.ts';

const WRITES_MAX = 3;
/** Which disks there are, and which of them are raw. */
const SHAPES = [
  ['ab', ''],
  ['ab', ''],
  ['ab', 'b'],
  ['abc', ''],
] as const;

/** How a walk went wrong, with all that was done before. */
export class WalkFailed extends Error {
  override readonly name = 'WalkFailed';
  /** How many operations it took. */
  readonly steps: number;
  constructor(seed: number, steps: number, story: readonly string[], cause: unknown) {
    const words = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    super(`seed ${seed} fails after ${steps} operations:\n${story.join('\n')}\n${words}`);
    this.steps = steps;
  }
}

/** How many operations ended in which way. */
export type Ends = Map<string, number>;

/**
 * Takes so many steps, then loads every snapshot that is left. A shorter walk of the same seed begins as the longer one.
 *
 * @throws {WalkFailed}
 */
export async function walk(seed: number, steps: number): Promise<Ends> {
  const taken = new Walk(seed);
  let step = 0;
  try {
    await taken.both.begin();
    for (; step < steps; step += 1) await taken.step(step + 1);
    await taken.finish();
  } catch (error) {
    throw new WalkFailed(seed, Math.min(step + 1, steps), taken.both.story, error);
  } finally {
    await taken.both.subject.leave();
  }
  return taken.ends;
}

class Walk {
  readonly both: SideBySide;
  readonly ends: Ends = new Map();
  readonly #chance: Chance;

  constructor(seed: number) {
    this.#chance = new Chance(seed);
    const [letters, raw] = this.#chance.pick(SHAPES);
    this.both = new SideBySide({ letters, raw, hasLauncher: this.#chance.happens(0.5) });
  }

  async step(number: number): Promise<void> {
    const { model } = this.both;
    await this.#write(this.#chance.below(WRITES_MAX + 1));
    const operation = drawOperation(this.#chance, model);
    const kind = kindOf(operation, model);
    const what = `${kind}: ${await this.#do(`${number}.`, operation)}`;
    this.ends.set(what, (this.ends.get(what) ?? 0) + 1);
  }

  async #do(number: string, operation: Operation): Promise<string> {
    const { model, story } = this.both;
    const ends = endsOf(operation, model);
    story.push(`${number} ${wordsOf(operation, model)} … should be ${ends.join(' or ')}`);
    const end = await this.both.carryOut(operation);
    if (!ends.includes(end)) throw new Error(`it was ${end}`);
    await this.both.expectAgreement();
    return end;
  }

  /** As the guest would, or into the images of a machine that is off. */
  async #write(count: number): Promise<void> {
    const { model, subject, story } = this.both;
    const written: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const wish = drawWrite(this.#chance, model);
      await subject.write(wish);
      model.write(wish);
      written.push(`${wish.letter}[${wish.first}+${wish.count}]=${wish.pattern}`);
    }
    if (model.power !== 'off') {
      model.memory = this.#chance.uint32();
      subject.setMemory(model.memory);
    }
    if (written.length > 0) story.push(`   write ${written.join(' ')}`);
  }

  /** Every snapshot that is left is loaded, in any order, and nothing is torn, lost or left lying about. */
  async finish(): Promise<void> {
    const { model, subject } = this.both;
    if (model.power === 'off') await this.#do('at the end:', { do: 'power' });
    const left = [...model.snapshots.keys()].map((id) => ({ id, place: this.#chance.next() }));
    for (const { id } of left.toSorted((one, other) => one.place - other.place)) {
      const held = model.snapshots.get(id);
      if (!held) continue; // A pin that a load before has replaced.
      if (held.isRetired) await this.#do('at the end:', { do: 'unretire', id });
      const disksOnly = held.isStream && !model.hasLauncher;
      await this.#do('at the end:', { do: 'load', id, safety: 'none', goesOn: 'paused', disksOnly });
    }
    await this.#do('at the end:', { do: 'power' });
    const wrong = [...soundness(subject), ...(await audited(subject.home))];
    if (wrong.length > 0) throw new Error(wrong.join('\n'));
  }
}
