// The cheapest plugin there can be: reads its configuration and prints a result. What a wrapper adds shows best on it.
#include <unistd.h>

int main(void) {
    static char buffer[65536];
    static const char result[] = "{\"cniVersion\":\"1.0.0\"}\n";
    while (read(0, buffer, sizeof buffer) > 0) {
    }
    return write(1, result, sizeof result - 1) == sizeof result - 1 ? 0 : 1;
}
