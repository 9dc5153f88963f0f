# Needs cargo and make on the machine. The hash is for whoever publishes the
# port: vcpkg prints the right one when it meets 0.
vcpkg_from_github(
    OUT_SOURCE_PATH SOURCE_PATH
    REPO libeventsource/libeventsource
    REF "v${VERSION}"
    SHA512 0
)
find_program(MAKE make REQUIRED)
find_program(CARGO cargo REQUIRED)

# There is one build, for release.
set(VCPKG_BUILD_TYPE release)
set(arguments
    -C "${SOURCE_PATH}"
    "CARGO=${CARGO}"
    "CARGO_TARGET_DIR=${CURRENT_BUILDTREES_DIR}/${TARGET_TRIPLET}-rel"
    "DESTDIR=${CURRENT_PACKAGES_DIR}"
    PREFIX=
)
vcpkg_execute_required_process(
    COMMAND "${MAKE}" ${arguments} library
    WORKING_DIRECTORY "${SOURCE_PATH}"
    LOGNAME "build-${TARGET_TRIPLET}"
)
vcpkg_execute_required_process(
    COMMAND "${MAKE}" ${arguments} install
    WORKING_DIRECTORY "${SOURCE_PATH}"
    LOGNAME "install-${TARGET_TRIPLET}"
)

# The command is for systems. CMake finds what is below lib/cmake.
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/bin")
set(VCPKG_POLICY_SKIP_MISPLACED_CMAKE_FILES_CHECK enabled)
set(VCPKG_POLICY_SKIP_LIB_CMAKE_MERGE_CHECK enabled)
vcpkg_fixup_pkgconfig()
vcpkg_install_copyright(FILE_LIST
    "${SOURCE_PATH}/LICENSES/MIT.txt"
    "${SOURCE_PATH}/LICENSES/Apache-2.0.txt"
    "${SOURCE_PATH}/LICENSE-THIRD-PARTY"
)
