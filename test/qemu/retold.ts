import type { World } from '#world';

/** The world with other words on its monitors: whatever is said is what `retell` makes of it, nothing when that is null. */
export const retold = (world: World, retell: (said: string) => string | null): World => ({
  ...world,
  connect: async (path) => {
    const connection = await world.connect(path);
    return {
      write(data) {
        const said = typeof data === 'string' ? retell(data) : data;
        if (said !== null) connection.write(said);
      },
      onText: (listener) => connection.onText(listener),
      onClose: (listener) => connection.onClose(listener),
      close: () => connection.close(),
    };
  },
});
