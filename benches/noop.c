// The cheapest plugin there can be: reads its configuration and prints a result, which the file RESULT holds if it is set.
// What a wrapper adds shows best on it.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(void) {
    static char buffer[65536];
    static const char result[] = "{\"cniVersion\":\"1.0.0\"}\n";
    const char *large = getenv("RESULT");
    while (read(0, buffer, sizeof buffer) > 0) {
    }
    if (large) {
        ssize_t length = read(open(large, O_RDONLY), buffer, sizeof buffer);
        return length > 0 && write(1, buffer, (size_t)length) == length ? 0 : 1;
    }
    return write(1, result, sizeof result - 1) == sizeof result - 1 ? 0 : 1;
}
