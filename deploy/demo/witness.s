# The demo's guest: a boot sector that counts. At every timer tick it adds one to a number in memory and writes the
# number to both disks. So memory, disk a and disk b tell by themselves which instant they are from.
# Assemble: as --32 -o w.o witness.s && ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o witness.bin w.o
.code16
.globl _start
.set COUNTER, 0x9000            # where the number lives in memory
.set SECTOR, 0x8000             # what is written to the disks
_start:
  xor %ax, %ax
  mov %ax, %ds
  mov %ax, %es
  mov %ax, %ss
  mov $0x7000, %sp
  movl $0, COUNTER
  sti
tick:
  hlt                           # until the next timer interrupt: 18 a second, and an idle host in between
  incl COUNTER
  mov COUNTER, %eax
  mov %eax, SECTOR
  mov $0x80, %dl                # disk a
  call store
  mov $0x81, %dl                # disk b
  call store
  jmp tick
store:
  mov $packet, %si
  mov $0x4300, %ax              # BIOS: extended write
  int $0x13
  ret
packet:
  .byte 0x10, 0
  .word 1                       # one sector
  .word SECTOR, 0
  .quad 100                     # at LBA 100, byte 51200
.org 510
.word 0xaa55
