// peak PROGRAM: runs it and prints on stderr the largest resident set, in KiB, of it and of those it waited for.
// A process of its own, and a small one: after an exec the kernel still counts the memory of the process that forked.
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct rusage used;
    int status = 0;
    pid_t child = fork();
    if (argc < 2)
        return 2;
    if (child == 0) {
        execv(argv[1], argv + 1);
        _exit(127);
    }
    if (wait4(child, &status, 0, &used) != child)
        return 1;
    fprintf(stderr, "%ld", used.ru_maxrss);
    return WEXITSTATUS(status);
}
