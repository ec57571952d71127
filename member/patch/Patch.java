import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassHierarchyResolver;
import java.lang.classfile.ClassModel;
import java.lang.classfile.ClassTransform;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.CodeElement;
import java.lang.classfile.CodeTransform;
import java.lang.classfile.MethodModel;
import java.lang.classfile.instruction.FieldInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.jar.JarOutputStream;
import java.util.zip.ZipEntry;

/**
 * Writes the jar of the patch: classes of Hazelcast as the class path has them, in each of which a method is changed.
 * Stops where the method has another number of the places to change than is known: then it is not the code that was
 * read.
 */
public final class Patch {
    // Jars with the same content are the same file, whenever they are made.
    private static final LocalDateTime NO_TIME = LocalDateTime.of(1980, 1, 1, 0, 0);

    private static final ClassFile CLASS_FILE = ClassFile.of(ClassFile.ClassHierarchyResolverOption.of(
        ClassHierarchyResolver.ofResourceParsing(ClassLoader.getSystemClassLoader())
            .orElse(ClassHierarchyResolver.defaultResolver())));

    private Patch() {
    }

    /** Takes the file to write, the notice that goes into it, and the names of the checks that found a fault. */
    public static void main(String[] args) throws IOException {
        List<Change> changes = Arrays.stream(args).skip(2).map(Patch::curing).toList();
        List<byte[]> changed = changes.stream().map(Patch::made).toList();
        try (OutputStream file = Files.newOutputStream(Path.of(args[0])); JarOutputStream jar = new JarOutputStream(file)) {
            add(jar, "META-INF/NOTICE", Files.readAllBytes(Path.of(args[1])));
            for (int i = 0; i < changes.size(); i++) {
                add(jar, changes.get(i).file(), changed.get(i));
                for (String other : changes.get(i).added()) {
                    add(jar, other, onClassPath(other));
                }
            }
        }
    }

    private static Change curing(String check) {
        return switch (check) {
            case "MasterCheck" -> keepsMaster();
            case "SilentPeerCheck" -> waitsForPeer();
            default -> throw new IllegalArgumentException("no change is known for what " + check + " finds");
        };
    }

    /**
     * A change of one method.
     *
     * @param file   the class, as class paths name it
     * @param method its method
     * @param count  how many places there are to change
     * @param what   what is at these places, in words
     * @param place  tells them from others
     * @param after  writes what is there afterwards
     * @param added  classes of our own that it needs
     */
    private record Change(String file, String method, long count, String what, Predicate<CodeElement> place,
                          Consumer<CodeBuilder> after, List<String> added) {
        boolean isIn(MethodModel other) {
            return other.methodName().equalsString(method);
        }
    }

    /** Has the call that sets the master to join go to JoinGuard, which makes it only where the member has not joined. */
    private static Change keepsMaster() {
        String folder = "com/hazelcast/internal/cluster/impl/";
        ClassDesc cluster = ClassDesc.of("com.hazelcast.internal.cluster.impl.ClusterServiceImpl");
        ClassDesc guard = ClassDesc.of("com.hazelcast.internal.cluster.impl.JoinGuard");
        String called = "setMasterAddress";
        MethodTypeDesc type = MethodTypeDesc.of(ConstantDescs.CD_void, ClassDesc.of("com.hazelcast.cluster.Address"));
        return new Change(
            folder + "ClusterServiceImpl.class", "setMasterAddressToJoin", 1, "calls of " + called,
            element -> element instanceof InvokeInstruction call && call.owner().asSymbol().equals(cluster)
                && call.name().equalsString(called) && call.typeSymbol().equals(type),
            code -> code.invokestatic(guard, called, type.insertParameterTypes(0, cluster)),
            List.of(folder + "JoinGuard.class"));
    }

    /**
     * Has a connection whose other end has not said its protocol yet be blocked, as those of the advanced network are,
     * until it has: not clean, which has the thread look again at once, as long as something is to be written.
     */
    private static Change waitsForPeer() {
        ClassDesc status = ClassDesc.of("com.hazelcast.internal.networking.HandlerStatus");
        return new Change(
            "com/hazelcast/internal/server/tcp/UnifiedProtocolEncoder.class", "onWrite", 2, "answers CLEAN",
            element -> element instanceof FieldInstruction field && field.owner().asSymbol().equals(status)
                && field.name().equalsString("CLEAN"),
            code -> code.getstatic(status, "BLOCKED", status),
            List.of());
    }

    private static byte[] made(Change change) {
        ClassModel model = CLASS_FILE.parse(onClassPath(change.file()));
        long found = model.methods().stream().filter(change::isIn)
            .flatMap(method -> method.code().stream()).flatMap(code -> code.elementStream())
            .filter(change.place()).count();
        if (found != change.count()) {
            throw stop("this Hazelcast has " + found + " " + change.what() + " in " + change.method() + " where "
                + change.count() + (change.count() == 1 ? " is" : " are") + " known");
        }
        CodeTransform places = (code, element) -> {
            if (change.place().test(element)) {
                change.after().accept(code);
            } else {
                code.with(element);
            }
        };
        byte[] changed = CLASS_FILE.transformClass(
            model, ClassTransform.transformingMethodBodies(change::isIn, places));
        List<VerifyError> errors = CLASS_FILE.verify(changed);
        if (!errors.isEmpty()) {
            throw stop("the changed class does not verify: " + errors.getFirst().getMessage());
        }
        return changed;
    }

    private static byte[] onClassPath(String name) {
        try (InputStream content = ClassLoader.getSystemResourceAsStream(name)) {
            if (content == null) {
                throw stop("the class path has no " + name);
            }
            return content.readAllBytes();
        } catch (IOException unreadable) {
            throw new IllegalStateException("the class path's " + name + " cannot be read", unreadable);
        }
    }

    private static void add(JarOutputStream jar, String name, byte[] content) throws IOException {
        ZipEntry entry = new ZipEntry(name);
        entry.setTimeLocal(NO_TIME);
        jar.putNextEntry(entry);
        jar.write(content);
        jar.closeEntry();
    }

    private static IllegalStateException stop(String why) {
        return new IllegalStateException(why + ": member/patch has to be looked at for this release");
    }
}
