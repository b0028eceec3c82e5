// SPDX-License-Identifier: GPL-2.0-only
/*
 * The markers, their semaphores, and the notes that describe both. In assembly, since
 * each must begin with its nop (a compiler puts a landing pad or a frame before it), and
 * since the notes name the registers that the arguments come in. Layout of the notes:
 * https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation
 *
 * Everything has a second, hidden name, mp_lib_…, by which the library itself reaches it:
 * without GOT and PLT, and without another library's definition coming in between.
 */
#include "lib/marker.h"

#if defined(__x86_64__)
#define NOP ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n"
#define ARGS_4 "8@%rdi 8@%rsi 8@%rdx 8@%rcx"
#define ARGS_5 ARGS_4 " 8@%r8"
#elif defined(__aarch64__)
#define NOP "nop\n"
#define ARGS_4 "8@x0 8@x1 8@x2 8@x3"
#define ARGS_5 ARGS_4 " 8@x4"
#else
#error "markers are written for x86-64 and arm64"
#endif

/* A symbol with its hidden second name. */
#define SYMBOL(name, hidden, type)                                                                 \
	".globl " name ", " hidden "\n"                                                            \
	".hidden " hidden "\n"                                                                     \
	".type " name ", %" type "\n"                                                              \
	".type " hidden ", %" type "\n" name ":\n" hidden ":\n"

/* Aligned, so that the nop never lies across two pages: it is replaced as a whole. */
#define FUNCTION(name)                                                                             \
	".text\n"                                                                                  \
	".p2align 4\n" SYMBOL("memprobe_marker_" name, "mp_lib_marker_" name,                      \
			      "function") ".cfi_startproc\n" NOP "ret\n"                           \
					  ".cfi_endproc\n"                                         \
					  ".size memprobe_marker_" name                            \
					  ", . - memprobe_marker_" name "\n"                       \
					  ".size mp_lib_marker_" name ", . - mp_lib_marker_" name  \
					  "\n"

/* In the file, not in .bss: the kernel finds the counter by its place in the file. */
#define SEMAPHORE(name)                                                                            \
	".pushsection .probes, \"aw\", %progbits\n"                                                \
	".p2align 1\n" SYMBOL("memprobe_" name "_semaphore", "mp_lib_" name "_semaphore",          \
			      "object") ".2byte 0\n"                                               \
					".size memprobe_" name "_semaphore, 2\n"                   \
					".size mp_lib_" name "_semaphore, 2\n"                     \
					".popsection\n"

#define NOTE(name, args)                                                                           \
	".pushsection .note.stapsdt, \"\", %note\n"                                                \
	".balign 4\n"                                                                              \
	".4byte 992f - 991f, 994f - 993f, 3\n"                                                     \
	"991: .asciz \"stapsdt\"\n"                                                                \
	"992: .balign 4\n"                                                                         \
	"993: .8byte mp_lib_marker_" name ", _.stapsdt.base, mp_lib_" name "_semaphore\n"          \
	".asciz \"memprobe\", \"" name "\", \"" args "\"\n"                                        \
	"994: .balign 4\n"                                                                         \
	".popsection\n"

#define MARKER(name, args) __asm__(FUNCTION(name) SEMAPHORE(name) NOTE(name, args))

/* Where it lies tells by how much prelink has moved the addresses in the notes. */
__asm__(".pushsection .stapsdt.base, \"aG\", %progbits, .stapsdt.base, comdat\n"
	".weak _.stapsdt.base\n"
	".hidden _.stapsdt.base\n"
	"_.stapsdt.base: .space 1\n"
	".size _.stapsdt.base, 1\n"
	".popsection\n");

MARKER("enter", ARGS_5);
MARKER("exit", ARGS_4);
MARKER("check", ARGS_4);
