/** `witness.s`, assembled: a boot sector that counts in memory and on both disks. */
export const BOOT_SECTOR = Buffer.concat([
  Buffer.from(
    'McCO2I7AjtC8AHBmxwYAkAAAAAD79Gb/BgCQZqEAkGajAICygOgHALKB6AIA6+a+OHy4AEPNE8MQAAEAAIAAAGQA',
    'base64',
  ),
  Buffer.alloc(510 - 66),
  Buffer.from([0x55, 0xaa]),
]);
