const refuse = (): never => {
  throw new TypeError('nobody may change this');
};

/** The same value, of which nothing can be changed any more, Maps and Sets included. */
export function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  if (value instanceof Map || value instanceof Set) {
    for (const [key, item] of value.entries()) {
      frozen(key);
      frozen(item);
    }
    for (const verb of ['set', 'add', 'delete', 'clear'])
      Object.defineProperty(value, verb, { value: refuse });
  }
  for (const part of Object.values(value)) frozen(part);
  return Object.freeze(value);
}
