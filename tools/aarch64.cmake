# SPDX-License-Identifier: MIT
#
# The build for AArch64 on another machine: preset aarch64. The cross compiler,
# the emulator for the tests, and liburing and cmocka, unpacked under
# build/aarch64-root, are what `tools/setup aarch64` provides.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)

get_filename_component(root ${CMAKE_CURRENT_LIST_DIR}/../build/aarch64-root
	ABSOLUTE)
set(ENV{PKG_CONFIG_LIBDIR} ${root}/usr/lib/aarch64-linux-gnu/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${root})

# -cpu max signs return addresses, which most emulated ones do not.
set(CMAKE_CROSSCOMPILING_EMULATOR
	qemu-aarch64-static;-cpu;max;-L;/usr/aarch64-linux-gnu)
