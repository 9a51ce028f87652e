import { QmpGarbled } from './trouble.ts';

/**
 * A piece of what QEMU replied, read member by member. Whatever does not have the expected shape throws
 * `QmpGarbled` with the path to it. Members that nobody asks for are not looked at: QEMU adds some every year.
 */
export class Reply {
  readonly value: unknown;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    this.value = value;
    this.#path = path;
  }

  object(): Readonly<Record<string, unknown>> {
    if (!isObject(this.value)) throw this.#garbled('an object');
    return this.value;
  }

  member(key: string): Reply {
    const found = this.optional(key);
    if (!found) throw this.#garbled(`a member "${key}"`);
    return found;
  }

  /** Null when the object has no such member. */
  optional(key: string): Reply | null {
    const members = this.object();
    return Object.hasOwn(members, key) ? new Reply(members[key], `${this.#path}.${key}`) : null;
  }

  items(): Reply[] {
    if (!Array.isArray(this.value)) throw this.#garbled('a list');
    return this.value.map((item: unknown, index) => new Reply(item, `${this.#path}[${index}]`));
  }

  text(): string {
    if (typeof this.value !== 'string') throw this.#garbled('a text');
    return this.value;
  }

  number(): number {
    if (typeof this.value !== 'number') throw this.#garbled('a number');
    return this.value;
  }

  flag(): boolean {
    if (typeof this.value !== 'boolean') throw this.#garbled('true or false');
    return this.value;
  }

  oneOf<const T extends string>(words: readonly T[]): T {
    const found = words.find((word) => word === this.value);
    if (found === undefined) throw this.#garbled(`one of ${words.join(', ')}`);
    return found;
  }

  #garbled(expected: string): QmpGarbled {
    return new QmpGarbled(this.#path, expected);
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
